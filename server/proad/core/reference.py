"""References: what callers write for a resource, as an id, the prefix of one, or a name."""

import re
from dataclasses import dataclass
from functools import cached_property

from proad.core.engine_connection import EngineConnection
from proad.errors import InvalidArgumentError
from proad.model import Resource, ResourceKind, full_id

_KINDS = {"container": ResourceKind.CONTAINER, "domain": ResourceKind.DOMAIN}

_FEWEST_DIGITS = 4
# As many as Docker prints of an id.
_SHORT_ID_DIGITS = 12
# A prefix may have hyphens anywhere: `starts` compares them with those of the id.
_PREFIX = re.compile(r"[0-9a-f-]+")

_RUNTIME_ID = re.compile(r"#([1-9][0-9]{0,8})")


@dataclass(frozen=True)
class Reference:
    """A reference to a resource: [[HOST/]KIND/]NAME, or [HOST/]domain/#NUMBER.

    Attributes:
        text: the whole text.
        name: the last part: a name, an id in any spelling, or the prefix of one.
        kind: the kind that the resource must have; None: either.
        host: the host connection that must have the resource; None: any.
    """

    text: str
    name: str
    kind: ResourceKind | None
    host: str | None

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """Parse a reference.

        Raises:
            InvalidArgumentError: `text` cannot be a reference.
        """
        *qualifiers, name = text.split("/")
        if not name or len(qualifiers) > 2 or (qualifiers and qualifiers[-1] not in _KINDS):  # noqa: PLR2004 - host and kind
            raise InvalidArgumentError.of(
                "id", "must be an id or a name, or one of them as container/NAME or domain/NAME"
            )
        kind = _KINDS[qualifiers[-1]] if qualifiers else None
        return cls(text, name, kind, qualifiers[0] if len(qualifiers) > 1 else None)

    @cached_property
    def full_id(self) -> str:
        """The full id that the name spells, as its engine writes the id; empty: none."""
        return full_id(self.name)

    @cached_property
    def runtime_id(self) -> int:
        """The number under which the domain runs; 0: the reference has none."""
        number = _RUNTIME_ID.fullmatch(self.name) if self.kind is ResourceKind.DOMAIN else None
        return int(number[1]) if number else 0

    @cached_property
    def digits(self) -> str:
        """The digits of the name, if it may be the prefix of an id; else empty."""
        name = self.name.lower()
        digits = name.replace("-", "")
        return digits if len(digits) >= _FEWEST_DIGITS and _PREFIX.fullmatch(name) else ""

    @property
    def is_short_id(self) -> bool:
        """Whether the name has as many digits of an id as tools print of one, or more."""
        return len(self.digits) >= _SHORT_ID_DIGITS

    def covers(self, connection: EngineConnection) -> bool:
        """Return whether the resource may be one of this engine's."""
        return self.host in {None, connection.ref.host} and (
            self.kind is None or self.kind in connection.driver.kinds
        )

    def names(self, resource: Resource) -> bool:
        """Return whether the name is this resource's name or full id."""
        return (
            not self.runtime_id
            and self.kind in {None, resource.kind}
            and (self.name == resource.name or self.full_id == resource.id)
        )

    def starts(self, resource: Resource) -> bool:
        """Return whether the name is the prefix of the id of a resource that has its digits."""
        return "-" not in self.name or resource.id.startswith(self.name.lower())
