"""The items of the allowlist of domain XML: what its tables allow by default, one by one."""

from collections.abc import Iterator

from lxml import etree

from proad.policy.domains.xml.domain import DOMAIN
from proad.policy.domains.xml.grammar import ElementRules, ValueRule, Variants
from proad.policy.domains.xml.values import Or


def _needs_setting(rule: ValueRule) -> bool:
    return isinstance(rule, Or) and rule.value is None


def _is_denied(rules: ElementRules | Variants) -> bool:
    if isinstance(rules, Variants):
        return all(map(_is_denied, rules.forms.values()))
    return rules.need is not None


class Items:
    """The elements, forms and attributes that are allowed, by their places in the tables.

    What several places share, such as the addresses of devices, has the name of the first one.
    """

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self.all = frozenset(self._of("domain", DOMAIN))

    def in_document(self, xml: str) -> frozenset[str]:
        """Return the items that a document has."""
        return frozenset(self._found(etree.fromstring(xml), DOMAIN))

    def _of(self, name: str, rules: ElementRules | Variants) -> Iterator[str]:
        if id(rules) in self._names:
            return
        self._names[id(rules)] = name
        if isinstance(rules, Variants):
            for value, form in rules.forms.items():
                if not _is_denied(form):
                    yield f"{name}[{value}]"
                    yield from self._of(f"{name}[{value}]", form)
            return
        yield from (
            f"{name}/@{each}" for each, rule in rules.attributes.items() if not _needs_setting(rule)
        )
        if rules.nested:
            yield f"{name}/{rules.nested}"
        for child, inner in rules.children.items():
            if not _is_denied(inner):
                yield f"{name}/{child}"
                yield from self._of(f"{name}/{child}", inner)

    def _found(self, element: etree._Element, rules: ElementRules | Variants) -> Iterator[str]:
        while isinstance(rules, Variants):
            value = element.get(rules.by, rules.absent or "")
            if value not in rules.forms:
                return
            yield f"{self._names[id(rules)]}[{value}]"
            rules = rules.forms[value]
        name = self._names.get(id(rules))
        if name is None:
            return
        yield from (f"{name}/@{each}" for each in element.attrib if each in rules.attributes)
        for child in element.iterchildren(etree.Element):
            inner = rules if child.tag == rules.nested else rules.children.get(str(child.tag))
            if inner is not None:
                yield f"{name}/{child.tag!s}"
                yield from self._found(child, inner)
