"""A request while it runs."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hmac import compare_digest
from typing import Any

from proad.core.requests.feed import Feed
from proad.core.requests.outcome import RequestAnswer
from proad.errors import InvalidArgumentError
from proad.model.scope import Scope
from proad.ports.requests import RequestKey, RequestRecord

Publish = Callable[[bytes], None]
"""Receives the responses of a stream, encoded."""

Serve = Callable[[Publish], Awaitable[RequestAnswer]]
"""Does what a request asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRequest:
    """A request as it comes, for the first time or again.

    Attributes:
        key: the request.
        method: full path of the RPC.
        digests: digest of method and request under each of the daemon's keys, the newest first.
        scopes: the scopes of the caller's token, for whom the reply is made.
        sight: whose resources the caller may see; see `RequestRecord.sight`.
    """

    key: RequestKey
    method: str
    digests: Sequence[bytes]
    scopes: frozenset[Scope] = frozenset()
    sight: str = ""

    def check_repeats(self, record: RequestRecord) -> None:
        """Check that this is a repetition of the request that has a record.

        Raises:
            InvalidArgumentError: it is another request.
        """
        if (
            record.method == self.method
            and record.shows_in(self.sight)
            and any(compare_digest(record.digest, digest) for digest in self.digests)
        ):
            return
        raise InvalidArgumentError.of(
            "request_id",
            f"was used for another request, of {record.method.rpartition('/')[2]}; a repetition "
            "has the same fields, and every other call an id of its own",
        )


@dataclass(slots=True, eq=False)
class RequestEntry:
    """A request that runs, or whose outcome is not known or not stored.

    Attributes:
        record: its record, as far as it is known.
        scopes: the scopes for which the reply is made.
        task: ends with the answer.
        announced: whether the record is stored, so that the request may have had an effect.
        cancelled: whether CancelRequest ends it.
        waiting: the task that may be cancelled to end it; None: none may.
        feed: its progress.
    """

    record: RequestRecord
    scopes: frozenset[Scope] = frozenset()
    task: "asyncio.Task[RequestAnswer]" = field(init=False)
    announced: bool = False
    cancelled: bool = False
    waiting: "asyncio.Task[Any] | None" = None
    feed: Feed = field(default_factory=Feed)

    @classmethod
    def of(cls, request: NewRequest, now: datetime) -> "RequestEntry":
        """Return the entry of a request that begins now."""
        record = RequestRecord(
            key=request.key,
            method=request.method,
            digest=request.digests[0],
            start_time=now,
            sight=request.sight,
        )
        return cls(record, scopes=request.scopes)

    async def reply(self, request: NewRequest, answer: Awaitable[RequestAnswer]) -> bytes:
        """Return the reply to a caller, who may not see what the first one's scopes allow."""
        told = await answer
        return told.reply if self.scopes <= request.scopes else told.stored

    def on_waiting(self, task: "asyncio.Task[Any] | None") -> None:
        """Set the task that may be cancelled."""
        self.waiting = task
