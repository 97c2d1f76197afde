"""The form of a hostile document, and an innocent one to put the hostile part in."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

NAME = "@NAME@"


@dataclass(frozen=True, slots=True)
class Hostile:
    """A document that must be refused.

    Attributes:
        id: for the test's name.
        xml: the document, with NAME for the name of the domain.
        rule: the rule that it violates; empty: it is no domain XML at all.
        setting: the setting that allows it; empty: none.
    """

    id: str
    xml: str
    rule: str = ""
    setting: str = ""

    def named(self, name: str) -> str:
        """Return the document with a name for the domain."""
        return self.xml.replace(NAME, name)


def whole(
    devices: str = "",
    *,
    type: str = "type='qemu'",
    name: str = f"<name>{NAME}</name>",
    more: str = "",
    memory: str = "<memory unit='KiB'>32768</memory>",
    vcpu: str = "<vcpu>1</vcpu>",
    boot: str = "<os><type arch='x86_64' machine='q35'>hvm</type></os>",
) -> str:
    """Return a document that is refused for its hostile part alone."""
    return f"<domain {type}>{name}{memory}{vcpu}{boot}{more}<devices>{devices}</devices></domain>"


Parts = Mapping[tuple[str, str], Sequence[str]]
"""Hostile parts by the rule that they violate and the setting that allows them."""


def in_devices(kind: str, parts: Parts) -> Iterator[Hostile]:
    """Yield documents with hostile devices."""
    for (rule, setting), fragments in parts.items():
        for number, fragment in enumerate(fragments):
            id = f"{kind}-{rule.replace(' ', '-')}-{setting or 'never'}-{number}"
            yield Hostile(id, whole(fragment), rule, setting)


def in_domain(kind: str, parts: Parts) -> Iterator[Hostile]:
    """Yield documents with hostile elements beside the devices."""
    for (rule, setting), fragments in parts.items():
        for number, fragment in enumerate(fragments):
            id = f"{kind}-{rule.replace(' ', '-')}-{setting or 'never'}-{number}"
            yield Hostile(id, whole(more=fragment), rule, setting)
