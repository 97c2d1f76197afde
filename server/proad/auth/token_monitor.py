"""Long-running calls that end once their token is no longer valid."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog

from proad.auth.timing import AuthTiming
from proad.auth.tokens import Claims
from proad.errors import DatabaseUnreachableError, ProaError, TokenExpiredError

_log = structlog.get_logger(__name__)

StatusLookup = Callable[[Collection[Claims]], Awaitable[Mapping[Claims, type[ProaError]]]]
"""Returns the errors of those tokens that are no longer valid."""


@dataclass(slots=True)
class _MonitoredToken:
    """A token with running calls.

    Attributes:
        limits: the timeouts of the running calls.
        refusal: the error to end the calls with; None while the token is valid.
    """

    limits: set[asyncio.Timeout] = field(default_factory=set)
    refusal: type[ProaError] | None = None

    def end(self, refusal: type[ProaError]) -> None:
        self.refusal = refusal
        now = asyncio.get_running_loop().time()
        for limit in self.limits:
            if not limit.expired():
                limit.reschedule(now)


class TokenLease:
    """The validity of the token that a call runs by, which another token may take over.

    Args:
        tokens: the tokens with running calls, by all that they claim.
        limit: the timeout of the call.
        claims: of the token.
        expires: whether the call ends with the lifetime of the token.
    """

    def __init__(
        self,
        tokens: dict[Claims, _MonitoredToken],
        limit: asyncio.Timeout,
        claims: Claims,
        *,
        expires: bool,
    ) -> None:
        self._tokens = tokens
        self._limit = limit
        self._expires = expires
        self._enter(claims)

    @property
    def refusal(self) -> type[ProaError]:
        """The error that the call ends with."""
        return self._token.refusal or TokenExpiredError

    def renew(self, claims: Claims) -> None:
        """Let the call go on by another token, whose lifetime counts from now on."""
        if self._limit.expired():
            return  # it is ending
        self.end()
        self._enter(claims)

    def end(self) -> None:
        """Let the token go."""
        self._token.limits.discard(self._limit)
        if not self._token.limits and self._tokens.get(self._claims) is self._token:
            del self._tokens[self._claims]

    def _enter(self, claims: Claims) -> None:
        self._claims = claims
        self._token = self._tokens.setdefault(claims, _MonitoredToken())
        self._token.limits.add(self._limit)
        if self._expires:
            left = (claims.expire_time - datetime.now(UTC)).total_seconds()
            self._limit.reschedule(asyncio.get_running_loop().time() + left)


class TokenMonitor:
    """Polls the status of the tokens of all open streams, in one batch.

    A stream whose token is refused is cancelled wherever it waits, also for a client that
    does not read. While the database is unreachable, streams continue; after
    `database_patience` they end with DatabaseUnreachableError, as new calls do.

    Args:
        look_up: reads the status of tokens.
        timing: the poll interval, and the patience with the database.
    """

    def __init__(self, look_up: StatusLookup, *, timing: AuthTiming = AuthTiming()) -> None:
        self._look_up = look_up
        self._interval = timing.poll_interval.total_seconds()
        self._patience = timing.database_patience.total_seconds()
        # By all that they claim: one token may stand for its user as the user was, and is by now.
        self._tokens: dict[Claims, _MonitoredToken] = {}
        self._polling: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def while_valid(self, claims: Claims, *, expires: bool) -> AsyncIterator[TokenLease]:
        """Cancel the body once the token is no longer valid; with `expires`, also at its expiry.

        The lease lets another token take over.

        Raises:
            TokenExpiredError: the token expired.
            ProaError: the token was refused, with the error of the lookup.
        """
        if self._polling is None:
            self._polling = asyncio.create_task(self._poll())
        try:
            async with asyncio.timeout(None) as limit:
                lease = TokenLease(self._tokens, limit, claims, expires=expires)
                try:
                    yield lease
                finally:
                    lease.end()
        except TimeoutError:
            if not limit.expired():
                raise
            raise lease.refusal from None

    def end(self, token_id: str, refusal: type[ProaError]) -> None:
        """Cancel the calls of a token."""
        for claims in [each for each in self._tokens if each.token_id == token_id]:
            self._end(claims, refusal)

    async def close(self) -> None:
        """Stop polling."""
        if self._polling is not None:
            self._polling.cancel()
            with suppress(asyncio.CancelledError):
                await self._polling

    def _end(self, claims: Claims, refusal: type[ProaError]) -> None:
        # Remove the entry first: a later call with the same token gets an entry of its own.
        if (token := self._tokens.pop(claims, None)) is not None:
            token.end(refusal)

    async def _poll(self) -> None:
        loop = asyncio.get_running_loop()
        answered = loop.time()
        while True:
            await asyncio.sleep(self._interval)
            claims = [*self._tokens]
            if not claims:
                answered = loop.time()
                continue
            try:
                refusals = await self._look_up(claims)
            except Exception as error:  # noqa: BLE001 - no failure of a poll may end the polling
                if not isinstance(error, DatabaseUnreachableError):
                    _log.exception("status of tokens cannot be read")
                if loop.time() - answered < self._patience:
                    continue
                refusals = dict.fromkeys(claims, DatabaseUnreachableError)
            else:
                answered = loop.time()
            for token, refusal in refusals.items():
                self._end(token, refusal)
