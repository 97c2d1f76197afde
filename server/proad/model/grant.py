"""What a token allows."""

from dataclasses import dataclass, replace

from proad.errors import AccessMissingError, InvalidArgumentError
from proad.model.scope import Scope
from proad.model.subject import Access


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token allows, within what its user may do.

    Attributes:
        scopes: the scopes.
        access: whose resources may be seen and changed.
    """

    scopes: frozenset[Scope]
    access: Access = Access.ALL

    def within(self, other: "Grant") -> "Grant":
        """Return what both grants allow."""
        return Grant(self.scopes & other.scopes, narrower(self.access, other.access))

    def narrowed(self, access: Access | None, *, team_id: str) -> "Grant":
        """Return the grant with another access, if one is given.

        Raises:
            AccessMissingError: it is a wider one.
            InvalidArgumentError: it is that of a team, and the user has none.
        """
        if access is None:
            return self
        if narrower(access, self.access) is not access:
            raise AccessMissingError(access, self.access)
        if access is Access.TEAM and not team_id:
            raise InvalidArgumentError.of("access", "you are in no team")
        return replace(self, access=access)


_NARROWNESS = (Access.ALL, Access.TEAM, Access.OWN)


def narrower(one: Access, other: Access) -> Access:
    """Return the access of the two under which less can be seen and changed."""
    return max(one, other, key=_NARROWNESS.index)
