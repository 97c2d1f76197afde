"""Streams that end when the token they were begun with is no longer good."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import structlog

from proad.auth.tokens import Claims
from proad.errors import DatabaseUnreachableError, ProaError, TokenExpiredError

_log = structlog.get_logger(__name__)

Judge = Callable[[Collection[Claims]], Awaitable[Mapping[str, type[ProaError]]]]
"""Tells which tokens are no longer good, by token id, and why."""


@dataclass(slots=True)
class _Held:
    """A token under which something goes on, and the limits of all that does.

    Attributes:
        refusal: why it is no longer good.
    """

    claims: Claims
    limits: set[asyncio.Timeout] = field(default_factory=set)
    refusal: type[ProaError] | None = None

    def end(self, refusal: type[ProaError]) -> None:
        self.refusal = refusal
        now = asyncio.get_running_loop().time()
        for limit in self.limits:
            if not limit.expired():
                limit.reschedule(now)


class Holds:
    """Asks again and again whether the tokens of all open streams are good, together.

    What ends is cancelled wherever it waits: for news, or for a client that does not read.
    As long as the database does not answer, streams go on; after `patience` they end as new
    calls fail, with DatabaseUnreachableError.

    Args:
        judge: asks the database about some tokens.
        every: how long it takes until they are asked about again.
        patience: how long the database may be silent.
    """

    def __init__(
        self,
        judge: Judge,
        *,
        every: timedelta = timedelta(seconds=1),
        patience: timedelta = timedelta(seconds=15),
    ) -> None:
        self._judge = judge
        self._every = every.total_seconds()
        self._patience = patience.total_seconds()
        self._held: dict[str, _Held] = {}
        self._asking: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def hold(self, claims: Claims, *, expires: bool) -> AsyncIterator[None]:
        """End the body when the token is no longer good; with `expires` also when it is over.

        Raises:
            TokenExpiredError: its time is over.
            ProaError: as the judge has it.
        """
        held = self._held.setdefault(claims.token_id, _Held(claims))
        left = (claims.expire_time - datetime.now(UTC)).total_seconds()
        when = asyncio.get_running_loop().time() + left if expires else None
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask_on())
        try:
            async with asyncio.timeout_at(when) as limit:
                held.limits.add(limit)
                try:
                    yield
                finally:
                    held.limits.discard(limit)
                    if not held.limits and self._held.get(claims.token_id) is held:
                        del self._held[claims.token_id]
        except TimeoutError:
            if not limit.expired():
                raise
            raise (held.refusal or TokenExpiredError) from None

    def end(self, token_id: str, refusal: type[ProaError]) -> None:
        """End at once what goes on under a token."""
        # Out of the way of a new one: whoever shows the token again is asked about anew.
        if (held := self._held.pop(token_id, None)) is not None:
            held.end(refusal)

    async def close(self) -> None:
        """Ask no more."""
        if self._asking is not None:
            self._asking.cancel()
            with suppress(asyncio.CancelledError):
                await self._asking

    async def _ask_on(self) -> None:
        loop = asyncio.get_running_loop()
        answered = loop.time()
        while True:
            await asyncio.sleep(self._every)
            asked = [held.claims for held in self._held.values()]
            if not asked:
                answered = loop.time()
                continue
            try:
                refusals = await self._judge(asked)
            except Exception as error:  # noqa: BLE001 - streams outlive any fault of a look
                if not isinstance(error, DatabaseUnreachableError):
                    _log.exception("tokens of open streams cannot be looked at")
                if loop.time() - answered < self._patience:
                    continue
                refusals = {claims.token_id: DatabaseUnreachableError for claims in asked}
            else:
                answered = loop.time()
            for token_id, refusal in refusals.items():
                self.end(token_id, refusal)
