"""What a token allows."""

from collections.abc import Collection
from dataclasses import dataclass

from proad.errors import AccessMissingError, InvalidArgumentError, ScopeMissingError
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

    def narrowed(
        self, scopes: Collection[Scope] | None, access: Access | None, *, team_id: str
    ) -> "Grant":
        """Return as much of the grant as is asked for.

        Args:
            scopes: the scopes; None or empty: all of them.
            access: the access; None: the same.
            team_id: id of the user's team; empty: none.

        Raises:
            ScopeMissingError: the grant lacks one of the scopes.
            AccessMissingError: the access is a wider one.
            InvalidArgumentError: the access is that of a team, and the user has none.
        """
        chosen = frozenset(scopes) if scopes else self.scopes
        if missing := sorted(chosen - self.scopes):
            raise ScopeMissingError(missing[0], sorted(self.scopes))
        wanted = access or self.access
        if narrower(wanted, self.access) is not wanted:
            raise AccessMissingError(wanted, self.access)
        if access is Access.TEAM and not team_id:
            raise InvalidArgumentError.of("access", "you are in no team")
        return Grant(chosen, wanted)


_NARROWNESS = (Access.ALL, Access.TEAM, Access.OWN)


def narrower(one: Access, other: Access) -> Access:
    """Return the access of the two under which less can be seen and changed."""
    return max(one, other, key=_NARROWNESS.index)
