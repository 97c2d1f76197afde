"""The subject of a call: the user on whose behalf the daemon works."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from proad.model.quota import Limits


class Access(StrEnum):
    """Whose resources a user may see and change.

    Attributes:
        ALL: everybody's, and those without an owner.
        TEAM: those of the user and of the user's team.
        OWN: those of the user.
    """

    ALL = "all"
    TEAM = "team"
    OWN = "own"


DEFAULT_PROFILE = "default"
"""Name of the profile of a user who was given none."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The user on whose behalf a task works.

    Attributes:
        username: name of the user; names may change.
        user_id: id of the user, which no other user ever has.
        token_id: id of the token of the call.
        access: whose resources the call may see and change.
        team_id: id of the user's team; empty: none.
        profile: name of the user's profile in the host's policy.
        limits: the quotas that the user and the team have of their own, by their ids.
    """

    username: str
    user_id: str = ""
    token_id: str = ""
    access: Access = Access.ALL
    team_id: str = ""
    profile: str = DEFAULT_PROFILE
    limits: Mapping[str, Limits] = field(default_factory=dict, hash=False)
