"""Rules of values that depend on nothing but the value, and on switches of the profile."""

import re
from dataclasses import dataclass

from proad.policy.bounds import is_listed
from proad.policy.domains.xml.grammar import DocumentContext, Fault, Power, ValueRule

_SHOWN = 60
_DIGITS = re.compile("0|[1-9][0-9]{0,18}")
NAME = r"[^\s/\x00-\x1f\x7f-\x9f-][^/\x00-\x1f\x7f-\x9f]{0,254}"
"""A pattern of what libvirt takes for a name."""


def shown(text: str) -> str:
    """Return a caller's text for a message, shortened."""
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


@dataclass(frozen=True, slots=True, init=False)
class Words:
    """One of some words."""

    words: frozenset[str]

    def __init__(self, words: str) -> None:
        object.__setattr__(self, "words", frozenset(words.split()))

    def fault(self, text: str, around: DocumentContext) -> Fault | None:  # noqa: ARG002 - as ValueRule has it
        """Return the fault of a word that is not one of them."""
        if text in self.words:
            return None
        known = ", ".join(sorted(self.words)[:12])
        return Fault("value not listed", "", f"is {shown(text)}, not one of {known}")


@dataclass(frozen=True, slots=True)
class Number:
    """A decimal number without sign, within limits."""

    least: int = 0
    most: int = 2**31 - 1

    def fault(self, text: str, around: DocumentContext) -> Fault | None:  # noqa: ARG002 - as ValueRule has it
        """Return the fault of another text or number."""
        if _DIGITS.fullmatch(text) and self.least <= int(text) <= self.most:
            return None
        message = f"is {shown(text)}, not a number from {self.least} to {self.most}"
        return Fault("value not listed", "", message)


@dataclass(frozen=True, slots=True, init=False)
class Like:
    """A text of a form."""

    pattern: re.Pattern[str]
    what: str

    def __init__(self, pattern: str, what: str) -> None:
        object.__setattr__(self, "pattern", re.compile(pattern, re.ASCII))
        object.__setattr__(self, "what", what)

    def fault(self, text: str, around: DocumentContext) -> Fault | None:  # noqa: ARG002 - as ValueRule has it
        """Return the fault of a text of another form."""
        if self.pattern.fullmatch(text):
            return None
        return Fault("value not listed", "", f"is {shown(text)}, not {self.what}")


@dataclass(frozen=True, slots=True)
class Prose:
    """A text for people, which nothing interprets."""

    most: int = 2**18

    def fault(self, text: str, around: DocumentContext) -> Fault | None:  # noqa: ARG002 - as ValueRule has it
        """Return the fault of a text that is too long."""
        if len(text) <= self.most:
            return None
        return Fault("value not listed", "", f"has more than {self.most} characters")


@dataclass(frozen=True, slots=True)
class Named:
    """A name of a list in the profile, where "*" stands for all names."""

    setting: str
    rule: str
    what: str

    def fault(self, text: str, around: DocumentContext) -> Fault | None:
        """Return the fault of a name that is not in the list."""
        if not re.fullmatch(NAME, text):
            return Fault("value not listed", "", f"is {shown(text)}, not a name")
        if is_listed(text, getattr(around.profile, self.setting)):
            return None
        message = f"the {self.what} {shown(text)} is not one of those that are allowed"
        return Fault(self.rule, self.setting, message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Or:
    """A value, or with a switch of the profile another one.

    Attributes:
        value: what is always allowed; None: nothing.
        wider: what the switch allows.
        power: what the wider values lend the guest.
        message: see `errors.Violation`.
    """

    value: ValueRule | None = None
    wider: ValueRule
    power: Power
    message: str

    def fault(self, text: str, around: DocumentContext) -> Fault | None:
        """Return the fault of a value that needs the switch, or that no switch allows."""
        if self.value is not None and self.value.fault(text, around) is None:
            return None
        if fault := self.wider.fault(text, around):
            return fault
        return self.power.fault(self.message, around)


@dataclass(frozen=True, slots=True)
class Dropped:
    """A value that is checked and left out of the result: libvirt chooses its own."""

    value: ValueRule

    def fault(self, text: str, around: DocumentContext) -> Fault | None:
        """Return the fault of the value."""
        return self.value.fault(text, around)


ON_OFF = Words("on off")
YES_NO = Words("yes no")
HEX = Like("0x[0-9a-fA-F]{1,8}|[0-9]{1,5}", "a number")
WORD = Like("[A-Za-z0-9][A-Za-z0-9_.+:-]{0,127}", "a word")
UUID = Like("[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}", "a UUID")


@dataclass(frozen=True, slots=True)
class Maybe:
    """A value, or an empty text."""

    value: ValueRule

    def fault(self, text: str, around: DocumentContext) -> Fault | None:
        """Return the fault of a text that is not empty."""
        return self.value.fault(text, around) if text else None
