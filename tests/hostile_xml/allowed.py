"""Documents that the allowlist itself describes: drawn from the tables, and so allowed."""

import random

from lxml import etree

from hostile_xml.host import FACTS
from proad.policy import Profile
from proad.policy.domains.xml.domain import DOMAIN
from proad.policy.domains.xml.grammar import DocumentContext, ElementRules, ValueRule, Variants

_AROUND = DocumentContext(profile=Profile(), facts=FACTS, name="web")
_ID = "6e1c4a3e-3b0e-4d57-9a1f-2f2a5a7f0c11"
# What some rule or other takes.
_VALUES = (
    *(
        "1",
        "0",
        "2",
        "8",
        "64",
        "1024",
        "4096",
        "32768",
        "0x1",
        "5900",
        "-1",
        "x",
        "web",
        "default",
    ),
    *("virtio", "qemu64", "q35", "x86_64", "vda", "sda", "vnet7", "en-us", "off", "bochs", "usb"),
    *(
        "/var/lib/libvirt/images/x.qcow2",
        "/srv/x.iso",
        "/dev/vg/web",
        "/usr/bin/qemu-system-x86_64",
    ),
    *("127.0.0.1", "::1", "52:54:00:01:02:03", "KiB", "MiB", "/dev/urandom", "/machine", _ID),
    *("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd", "/dev/pts/3"),
    *("/var/lib/libvirt/qemu/nvram/web_VARS.fd", "http://guests.example/linux/12", "AuthenticAMD"),
    "/var/lib/libvirt/qemu/channel/target/domain-1-web/org.qemu.guest_agent.0",
)


def document(seed: int, name: str = "web") -> str:
    """Return a document; the same one for the same seed.

    Args:
        seed: of the choices.
        name: name of the domain.
    """
    writer = _Writer(random.Random(seed))
    root = writer.element("domain", DOMAIN)
    assert root is not None
    for tag in ("name", "uuid", "metadata", "vcpu", "memory", "currentMemory"):
        for each in root.findall(tag):
            root.remove(each)
    etree.SubElement(root, "name").text = name
    etree.SubElement(root, "memory").text = "32768"
    root.set("type", "qemu")
    boot = root.find("os")
    if boot is None:
        boot = etree.SubElement(root, "os")
    for each in boot.findall("type"):
        boot.remove(each)
    etree.SubElement(boot, "type").text = "hvm"
    return etree.tostring(root, encoding="unicode")


class _Writer:
    def __init__(self, choice: random.Random) -> None:
        self._choice = choice

    def element(self, tag: str, rules: ElementRules | Variants) -> etree._Element | None:
        """Return an element; None: a setting would have to allow that."""
        chosen: dict[str, str] = {}
        while isinstance(rules, Variants):
            value = self._choice.choice([*rules.forms])
            if value or rules.absent is None:
                chosen[rules.by] = value
            rules = rules.forms[value]
        text = "" if rules.text is None else self._value(rules.text)
        if rules.need is not None or text is None:
            return None
        made = etree.Element(tag, chosen)
        made.text = text or None
        for name, rule in rules.attributes.items():
            if self._wanted(0.9) and (value_of := self._value(rule)) is not None:
                made.set(name, value_of)
        self._add_children(made, rules)
        return None if any(check.fault(made, _AROUND) for check in rules.checks) else made

    def _add_children(self, made: etree._Element, rules: ElementRules) -> None:
        # A few devices at a time: of two that do not go together, libvirt takes neither.
        share = 0.15 if made.tag in {"devices", "domain"} else 0.5
        for name, inner in rules.children.items():
            for _ in range(self._choice.randint(1, 2) if inner.many else 1):
                if self._wanted(share) and (child := self.element(name, inner)) is not None:
                    made.append(child)

    def _wanted(self, share: float) -> bool:
        return self._choice.random() < share

    def _value(self, rule: ValueRule) -> str | None:
        taken = [each for each in (*_words(rule), *_VALUES) if rule.fault(each, _AROUND) is None]
        return self._choice.choice(taken) if taken else None


def _words(rule: object) -> list[str]:
    if (inner := getattr(rule, "value", None)) is not None:
        return _words(inner)
    return sorted(getattr(rule, "words", ()))
