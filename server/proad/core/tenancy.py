"""Whose resources a subject may see: the one place that decides.

What a subject may not see does not exist for that subject: every look-up passes over it in the
same way, and in the same time, as over what nobody has.
"""

from dataclasses import dataclass
from hashlib import sha256

from proad.core.actor import current_subject
from proad.model import Access, Resource


@dataclass(frozen=True, slots=True)
class Visibility:
    """Whose resources, volumes and snapshots may be seen and changed.

    Attributes:
        owners: ids of users and teams; None: everybody's, and those without an owner.
    """

    owners: frozenset[str] | None = None

    @property
    def is_restricted(self) -> bool:
        """Whether there may be anything that is not to be seen."""
        return self.owners is not None

    @property
    def digest(self) -> str:
        """Tells visibilities apart in tokens, without the ids; empty for everything."""
        if self.owners is None:
            return ""
        return sha256(",".join(sorted(self.owners)).encode()).hexdigest()[:16]

    def includes(self, owner_id: str) -> bool:
        """Return whether what has this owner may be seen; an empty id stands for no owner."""
        return self.owners is None or owner_id in self.owners

    def shows(self, resource: Resource) -> bool:
        """Return whether a resource, as the inventory publishes it, may be seen."""
        return self.owners is None or resource.owner_id in self.owners


EVERYTHING = Visibility()
"""The visibility of the daemon itself, and of users with access to all."""


def current_visibility() -> Visibility:
    """Return what the subject of the current task may see."""
    subject = current_subject()
    if subject is None or subject.access is Access.ALL:
        return EVERYTHING
    return Visibility(current_owners())


def current_owners() -> frozenset[str]:
    """Return the ids of the user and the team whose resources the current subject may call own.

    With access OWN, by the user or by the token, those of the team are somebody else's.
    """
    subject = current_subject()
    if subject is None:
        return frozenset()
    team_id = "" if subject.access is Access.OWN else subject.team_id
    return frozenset({subject.user_id, team_id} - {""})


def current_owner_id() -> str:
    """Return the id of the owner of what the current task makes; empty: nobody.

    What is made with access TEAM is the team's, and stays so when its maker leaves. Otherwise it
    is the user's.
    """
    subject = current_subject()
    if subject is None:
        return ""
    if subject.access is Access.TEAM and subject.team_id:
        return subject.team_id
    return subject.user_id
