"""What a caller may write for a resource: an id, the start of one, or a name."""

import re
from dataclasses import dataclass
from functools import cached_property

from proad.core.engine_connection import EngineConnection
from proad.errors import InvalidArgumentError
from proad.model import Resource, ResourceKind, full_id

_KINDS = {"container": ResourceKind.CONTAINER, "domain": ResourceKind.DOMAIN}

_FEWEST_DIGITS = 4
# Of an id, as its engine writes it; that hyphens are where a UUID has them, the id itself tells.
_START = re.compile(r"[0-9a-f-]+")


@dataclass(frozen=True)
class Reference:
    """What a caller wrote: [[HOST/]KIND/]NAME.

    Attributes:
        text: all of it.
        name: the last part: a name, an id in any spelling, or the start of one.
        kind: what it must be; None: either.
        host: where it must be; None: anywhere.
    """

    text: str
    name: str
    kind: ResourceKind | None
    host: str | None

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """Take a text apart.

        Raises:
            InvalidArgumentError: it cannot be a reference.
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
        """The full id that the name spells, as its engine writes it; empty: it spells none."""
        return full_id(self.name)

    @cached_property
    def digits(self) -> str:
        """The digits that an id may start with; empty: the name is the start of none."""
        name = self.name.lower()
        digits = name.replace("-", "")
        return digits if len(digits) >= _FEWEST_DIGITS and _START.fullmatch(name) else ""

    def covers(self, connection: EngineConnection) -> bool:
        """Return whether the resource may be one of this engine's."""
        return self.host in {None, connection.host} and (
            self.kind is None or self.kind in connection.driver.kinds
        )

    def names(self, resource: Resource) -> bool:
        """Return whether the name is this resource's name or full id."""
        return self.kind in {None, resource.kind} and (
            self.name == resource.name or self.full_id == resource.id
        )

    def starts(self, resource: Resource) -> bool:
        """Return whether the name is the start of the id of a resource that has its digits."""
        return self.kind in {None, resource.kind} and (
            "-" not in self.name or resource.id.startswith(self.name.lower())
        )
