"""The status of tokens: a short-lived cache over the database."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime

from proad.auth.client_certificates import ClientCertificates
from proad.auth.timing import AuthTiming
from proad.auth.token_monitor import TokenLease, TokenMonitor
from proad.auth.tokens import Claims
from proad.errors import (
    DatabaseUnreachableError,
    ProaError,
    TokenInvalidError,
    TokenRevokedError,
)
from proad.store.revocations import RevocationStore
from proad.store.users import UserStatus, UserStore

_MAX_TOKENS = 10_000


@dataclass(frozen=True, slots=True)
class TokenStatus:
    """What the database tells of a token.

    Attributes:
        refusal: the error to raise for the token; None while the token is valid.
        user: status of the token's user; None: the token is refused.
    """

    refusal: type[ProaError] | None = None
    user: UserStatus | None = None


@dataclass(frozen=True, slots=True)
class _Lookup:
    """A query of one token's status.

    Attributes:
        started: monotonic time of the query's begin, in seconds.
        status: the status.
    """

    started: float
    status: "asyncio.Future[TokenStatus]"


class TokenStatusCache:
    """Checks tokens against the database, through a cache.

    A change by another process, such as `proad user disable`, takes effect within
    `status_max_age`. Concurrent checks of the same token share one query.

    Args:
        users: the store of users.
        revocations: the store of revoked tokens.
        certificates: tells whom client certificates stand for.
        timing: how long a status is reused, and the timing of the monitor.
        clock: monotonic time in seconds.
    """

    def __init__(
        self,
        users: UserStore,
        revocations: RevocationStore,
        certificates: ClientCertificates | None = None,
        *,
        timing: AuthTiming = AuthTiming(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._users = users
        self._revocations = revocations
        self._certificates = certificates or ClientCertificates()
        self._max_age = timing.status_max_age.total_seconds()
        self._clock = clock
        self._lookups: OrderedDict[str, _Lookup] = OrderedDict()
        self._monitor = TokenMonitor(self._refusals, timing=timing)

    def __len__(self) -> int:
        return len(self._lookups)

    async def check(self, claims: Claims) -> UserStatus:
        """Check that a token is still valid, and return the status of its user.

        Raises:
            TokenInvalidError: the user was removed, disabled or changed since the login.
            TokenRevokedError: the token was revoked.
            DatabaseUnreachableError: the status cannot be read.
        """
        now = self._clock()
        lookup = self._lookups.get(claims.token_id)
        if lookup is None or now - lookup.started > self._max_age:
            # Of any version: calls with one token may have begun with different ones.
            asked = self._look_up(replace(claims, version=None))
            lookup = _Lookup(now, asyncio.ensure_future(asked))
            self._remember(claims.token_id, lookup)
        if not lookup.status.done():
            # Shield: a caller that is cancelled must not fail the others that share the query.
            await asyncio.shield(lookup.status)
        status = lookup.status.result()
        if status.user is None:
            raise status.refusal or TokenInvalidError
        if not _is_of(claims, status.user):
            raise claims.refused
        return status.user

    def while_valid(
        self, claims: Claims, *, expires: bool
    ) -> AbstractAsyncContextManager[TokenLease]:
        """Cancel the body once the token is no longer valid; see `TokenMonitor.while_valid`."""
        return self._monitor.while_valid(claims, expires=expires)

    async def revoke(self, token_id: str, expire_time: datetime) -> None:
        """Revoke a token. This process refuses the token from the return on."""
        await self._revocations.add(token_id, expire_time)
        status: asyncio.Future[TokenStatus] = asyncio.Future()
        status.set_result(TokenStatus(TokenRevokedError))
        # Replace a query that may have started before the revocation was stored.
        self._remember(token_id, _Lookup(self._clock(), status))
        self._monitor.end(token_id, TokenRevokedError)

    async def settle(self) -> None:
        """Wait for pending queries, before the database is closed."""
        await self._monitor.close()
        pending = [each.status for each in self._lookups.values() if not each.status.done()]
        await asyncio.gather(*pending, return_exceptions=True)

    async def _look_up(self, claims: Claims) -> TokenStatus:
        try:
            return (await self._statuses([claims]))[claims]
        except DatabaseUnreachableError:
            return TokenStatus(DatabaseUnreachableError)

    async def _refusals(self, tokens: Collection[Claims]) -> dict[Claims, type[ProaError]]:
        """Return the errors of those tokens that are no longer valid."""
        statuses = await self._statuses(tokens)
        return {
            claims: status.refusal
            for claims, status in statuses.items()
            if status.refusal is not None
        }

    async def _statuses(self, tokens: Collection[Claims]) -> dict[Claims, TokenStatus]:
        """Return the status of each token, with two queries at most of tokens of ours."""
        ids = {id for claims in tokens for id in (claims.token_id, claims.session_id) if id}
        revoked = await self._revocations.among(ids)
        ours = {claims.username for claims in tokens if not claims.user_id}
        theirs = {claims.user_id for claims in tokens if claims.user_id}
        users = await self._users.statuses(ours) if ours else {}
        by_id = await self._users.statuses_by_id(theirs) if theirs else {}
        statuses: dict[Claims, TokenStatus] = {}
        for claims in tokens:
            user = by_id.get(claims.user_id) or users.get(claims.username)
            if claims.token_id in revoked or claims.session_id in revoked:
                status = TokenStatus(TokenRevokedError)
            elif user is None or not _is_of(claims, user) or not self._still_shown(claims):
                status = TokenStatus(claims.refused)
            else:
                status = TokenStatus(user=user)
            statuses[claims] = status
        return statuses

    def _still_shown(self, claims: Claims) -> bool:
        """Return whether a certificate still stands for the user: that may change by a reload."""
        if claims.certificate is None:
            return True
        now = self._certificates.claims(claims.certificate)
        return now is not None and (now.username, now.scopes) == (claims.username, claims.scopes)

    def _remember(self, token_id: str, lookup: _Lookup) -> None:
        self._lookups[token_id] = lookup
        self._lookups.move_to_end(token_id)
        if len(self._lookups) > _MAX_TOKENS:
            self._lookups.popitem(last=False)


def _is_of(claims: Claims, user: UserStatus) -> bool:
    """Return whether a token is of its user as the user is now."""
    return claims.version in {None, user.token_version}
