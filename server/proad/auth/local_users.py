"""Local users: whom a user of this host stands for, as the kernel says who connected."""

import asyncio
import grp
import pwd
from collections.abc import Collection, Sequence
from pathlib import Path

from proad.auth.tokens import IssuedToken, Tokens
from proad.config import LocalUserSettings, Settings
from proad.errors import NotMappedError
from proad.lines import Peer
from proad.model import Access
from proad.model.grant import Grant
from proad.model.scope import Scope
from proad.reload import Prepared
from proad.store.users import UserStore, fold_username

_ROOT = 0
# Names of the host's users may be looked up over a network.
_LOOKUPS = 2
# https://docs.kernel.org/admin-guide/sysctl/kernel.html#overflowgid-overflowuid
_OVERFLOW_BY_DEFAULT = 65534
_OVERFLOW = ("/proc/sys/kernel/overflowuid", "/proc/sys/kernel/overflowgid")


class LocalUsers:
    """Issues tokens to users of this host.

    Names are looked up at each login: an id that belongs to somebody else by now fits no more.
    Groups are those that the process had when it connected, as for the host's own files.

    Args:
        users: the store of users.
        tokens: issues tokens.
        mapping: which users of this host stand for which users, the first that fits.
    """

    settings = frozenset({"local_users"})

    def __init__(
        self, users: UserStore, tokens: Tokens, mapping: Sequence[LocalUserSettings] = ()
    ) -> None:
        self._users = users
        self._tokens = tokens
        self._mapping = mapping
        self._lookups = asyncio.Semaphore(_LOOKUPS)
        # Ids by which the kernel tells of users and groups of other namespaces: of all alike.
        self._nobody, self._no_group = map(_overflow, _OVERFLOW)

    def prepare(self, settings: Settings) -> Prepared:
        """Return what takes over the mapping."""
        mapping = settings.local_users

        def take_over() -> None:
            self._mapping = mapping

        return Prepared(take_over)

    async def issue(
        self,
        peer: Peer,
        username: str = "",
        scopes: Collection[Scope] | None = None,
        *,
        access: Access | None = None,
    ) -> IssuedToken:
        """Issue a token for whom a user of this host stands for.

        There is no session: the next token takes another login, for which the mapping of then
        counts.

        Args:
            peer: the user of this host.
            username: name of the wanted user, where several tables fit; empty: of the first.
            scopes: scopes of the token; None or empty for all that the mapping allows.
            access: access of the token; None for that of the user.

        Raises:
            NotMappedError: no table fits, or its user was removed or disabled; the error does not
                tell which.
            ScopeMissingError: the mapping, or the user, lacks a wanted scope.
            AccessMissingError: the user has a narrower access than the wanted one.
            InvalidArgumentError: the access is that of a team, and the user has none.
            DatabaseUnreachableError: the user cannot be read.
        """
        async with self._lookups:
            found = await asyncio.to_thread(
                self._find, self._mapping, peer, fold_username(username)
            )
        user = await self._users.get(found.user) if found else None
        if found is None or user is None or user.disabled:
            raise NotMappedError(peer.uid)
        allowed = frozenset(Scope) if found.scopes is None else found.scopes
        grant = Grant(allowed, user.access).within(user.grant)
        grant = grant.narrowed(scopes, access, team_id=user.team_id)
        return self._tokens.issue_to(user, grant)

    def _find(
        self, mapping: Sequence[LocalUserSettings], peer: Peer, username: str
    ) -> LocalUserSettings | None:
        if peer.uid == self._nobody:
            return None
        wanted = (each for each in mapping if not username or each.user == username)
        return next((each for each in wanted if self._fits(each, peer)), None)

    def _fits(self, mapped: LocalUserSettings, peer: Peer) -> bool:
        try:
            if mapped.group is not None:
                group = grp.getgrnam(mapped.group).gr_gid
                return group in peer.groups - {self._no_group} and peer.uid != _ROOT
            if mapped.name is not None:
                return pwd.getpwnam(mapped.name).pw_uid == peer.uid
        except KeyError:  # no such group, no such user
            return False
        return mapped.uid == peer.uid


def _overflow(path: str) -> int:
    """Return the id that the kernel has for all of other namespaces."""
    try:
        return int(Path(path).read_text())
    except FileNotFoundError:
        return _OVERFLOW_BY_DEFAULT  # the process sees nothing of the kernel, as in our unit
