"""What a token allows."""

from dataclasses import dataclass

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


_NARROWNESS = (Access.ALL, Access.TEAM, Access.OWN)


def narrower(one: Access, other: Access) -> Access:
    """Return the access of the two under which less can be seen and changed."""
    return max(one, other, key=_NARROWNESS.index)
