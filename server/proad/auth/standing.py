"""Whether a token is still good, from the database, remembered for a moment."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Collection
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta

from proad.auth.holds import Holds
from proad.auth.tokens import Claims
from proad.errors import (
    DatabaseUnreachableError,
    ProaError,
    TokenInvalidError,
    TokenRevokedError,
)
from proad.store.revocations import RevocationStore
from proad.store.users import UserStore

_MAX_TOKENS = 10_000


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the database said, or is about to say, and when it was asked."""

    asked: float
    refusal: "asyncio.Future[type[ProaError] | None]"


class Standing:
    """Tells whether tokens are still good.

    An answer counts for `memory`: so long may it take until a change that another
    process makes (`proad user disable`) is seen. Calls that come together with the
    same token ask together.

    Args:
        users: where their owners are.
        revocations: where revoked ones are.
        memory: how long an answer counts.
    """

    def __init__(
        self,
        users: UserStore,
        revocations: RevocationStore,
        *,
        memory: timedelta = timedelta(milliseconds=500),
    ) -> None:
        self._users = users
        self._revocations = revocations
        self._memory = memory.total_seconds()
        self._answers: OrderedDict[str, _Answer] = OrderedDict()
        self._holds = Holds(self._refusals)

    def __len__(self) -> int:
        return len(self._answers)

    async def check(self, claims: Claims) -> None:
        """Do nothing if the token is still good.

        Raises:
            TokenInvalidError: its user is gone, disabled, or was changed since.
            TokenRevokedError: it was given back.
            DatabaseUnreachableError: nobody can tell.
        """
        now = time.monotonic()
        answer = self._answers.get(claims.token_id)
        if answer is None or now - answer.asked > self._memory:
            answer = _Answer(now, asyncio.ensure_future(self._ask(claims)))
            self._remember(claims.token_id, answer)
        if not answer.refusal.done():
            # Shielded: one caller that gives up must not fail those who wait with it.
            await asyncio.shield(answer.refusal)
        if refusal := answer.refusal.result():
            raise refusal

    def hold(self, claims: Claims, *, expires: bool) -> AbstractAsyncContextManager[None]:
        """End what is done in the context when the token is no longer good; see `Holds`."""
        return self._holds.hold(claims, expires=expires)

    async def revoke(self, token_id: str, expire_time: datetime) -> None:
        """Revoke a token; here it is no longer good when this returns."""
        await self._revocations.add(token_id, expire_time)
        refusal: asyncio.Future[type[ProaError] | None] = asyncio.Future()
        refusal.set_result(TokenRevokedError)
        # In place of an answer that may be under way and not know of it.
        self._remember(token_id, _Answer(time.monotonic(), refusal))
        self._holds.end(token_id, TokenRevokedError)

    async def settle(self) -> None:
        """Wait for questions whose callers are gone: the database is about to be closed."""
        await self._holds.close()
        pending = [a.refusal for a in self._answers.values() if not a.refusal.done()]
        await asyncio.gather(*pending, return_exceptions=True)

    async def _ask(self, claims: Claims) -> type[ProaError] | None:
        try:
            return (await self._refusals([claims])).get(claims.token_id)
        except DatabaseUnreachableError:
            return DatabaseUnreachableError

    async def _refusals(self, asked: Collection[Claims]) -> dict[str, type[ProaError]]:
        """Tell which of many tokens are no longer good, in a question to each table."""
        revoked = await self._revocations.among({claims.token_id for claims in asked})
        versions = await self._users.versions({claims.username for claims in asked})
        refusals: dict[str, type[ProaError]] = {}
        for claims in asked:
            if claims.token_id in revoked:
                refusals[claims.token_id] = TokenRevokedError
            elif versions.get(claims.username) != claims.version:
                refusals[claims.token_id] = TokenInvalidError
        return refusals

    def _remember(self, token_id: str, answer: _Answer) -> None:
        self._answers[token_id] = answer
        self._answers.move_to_end(token_id)
        if len(self._answers) > _MAX_TOKENS:
            self._answers.popitem(last=False)
