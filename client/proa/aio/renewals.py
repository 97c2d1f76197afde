"""Renewals of the token of a stream of requests, of the asyncio client."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from proa.aio.request_stream import AsyncRequestStream
from proa.aio.tokens import AsyncTokenSource
from proa.errors import Error
from proa.renewals import RenewalPlan
from proa.timing import ClientTiming


class AsyncRenewals:
    """Sends a stream of requests the next token, as `proa.renewals.Renewals`."""

    def __init__(
        self,
        tokens: AsyncTokenSource,
        method: str,
        requests: AsyncRequestStream,
        timing: ClientTiming,
    ) -> None:
        self._tokens = tokens
        self._method = method
        self._requests = requests
        self._timing = timing

    # Not asynchronous: the end of a loop closes all asynchronous generators, in any order, and an inner
    # one that is closed before its outer one makes that fail.
    @contextmanager
    def while_open(self, token: str | None) -> Iterator[None]:
        """Renew while the block runs, where there will be another token than that of the call."""
        if token is None or self._tokens.until_renewal(token) is None:
            yield
            return
        plan = RenewalPlan(self._method, token, self._tokens.until_renewal, self._timing)
        task = asyncio.create_task(self._renew(plan))
        try:
            yield
        finally:
            task.cancel()

    async def _renew(self, plan: RenewalPlan) -> None:
        while plan.pause is not None and not await self._requests.wait_closed(plan.pause):
            try:
                request = plan.request(await self._tokens.get())
            except Error as error:
                plan.failed(error)
                continue
            if request is None:
                continue
            try:
                await self._requests.send(request, urgent=True)
            except BrokenPipeError:
                return
