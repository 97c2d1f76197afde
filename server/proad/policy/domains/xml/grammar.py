"""What an allowlist of XML consists of: elements, attributes, and rules of their values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from lxml import etree

from proad.model import DomainFacts
from proad.policy.profile import Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentContext:
    """What the rules of values depend on.

    Attributes:
        profile: the caller's.
        facts: about the host.
        name: name of the domain.
        id: UUID of the domain.
        live: whether the document is of an existing domain, not of one to be made.
    """

    profile: Profile
    facts: DomainFacts
    name: str = ""
    id: str = ""
    live: bool = False


class Fault(NamedTuple):
    """Why a value or an element is denied; see `errors.Violation`."""

    rule: str
    setting: str
    message: str


class Power(NamedTuple):
    """What XML can lend a guest, which a setting has to allow; see `errors.Violation`.

    Attributes:
        rule: the rule that denies it.
        setting: the switch of the profile that allows it.
    """

    rule: str
    setting: str

    def fault(self, message: str, around: DocumentContext) -> Fault | None:
        """Return the fault with a message, unless the profile has the setting."""
        if getattr(around.profile, self.setting):
            return None
        return Fault(self.rule, self.setting, message)


class ValueRule(Protocol):
    """The rule of an attribute or a text."""

    def fault(self, text: str, around: DocumentContext) -> Fault | None:
        """Return why a value is denied; None: it is allowed."""


class Check(Protocol):
    """A rule about an element with its attributes and children."""

    def fault(self, element: etree._Element, around: DocumentContext) -> tuple[str, Fault] | None:
        """Return where below the element something is denied, and why; None: it is allowed."""


class Need(NamedTuple):
    """A power that an element lends.

    Attributes:
        power: the power.
        message: see `errors.Violation`.
    """

    power: Power
    message: str

    def fault(self, around: DocumentContext) -> Fault | None:
        """Return the fault, unless the profile has the setting."""
        return self.power.fault(self.message, around)


@dataclass(frozen=True, slots=True, kw_only=True)
class ElementRules:
    """An allowed element. What is not stated is denied.

    Attributes:
        attributes: the rules of its attributes.
        text: the rule of its text; None: no text.
        children: the allowed child elements.
        many: whether the element may occur more than once beside itself.
        nested: name of a child that has the rules of this element; empty: none.
        need: the power that the element lends; None: none.
        whole: whether, with the setting of that, the element is taken with all that is in it.
        dropped: whether the element is left out of the result, because libvirt or Proa adds
            their own.
        checks: rules about the element as a whole.
    """

    attributes: Mapping[str, ValueRule] = field(default_factory=dict)
    text: ValueRule | None = None
    children: Mapping[str, "ElementRules | Variants"] = field(default_factory=dict)
    many: bool = False
    nested: str = ""
    need: Need | None = None
    whole: bool = False
    dropped: bool = False
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Variants:
    """An element whose rules depend on an attribute.

    Attributes:
        by: name of the attribute.
        forms: the rules by its value, which may depend on one more attribute; they do not
            state the attribute itself.
        absent: the value that an absent attribute stands for; None: the attribute is required.
        rule: the rule that any other value violates.
        many: see `ElementRules`.
    """

    by: str = "type"
    forms: Mapping[str, "ElementRules | Variants"]
    absent: str | None = None
    rule: str = "value not listed"
    many: bool = False


def denied(power: Power, message: str) -> ElementRules:
    """Return an element that is denied, or with a setting taken with all that is in it."""
    return ElementRules(need=Need(power, message), whole=True, many=True)
