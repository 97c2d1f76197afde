"""A request while it runs."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import Any

from proad.core.requests.feed import Feed
from proad.core.requests.outcome import RequestAnswer
from proad.errors import InvalidArgumentError
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
    """

    key: RequestKey
    method: str
    digests: Sequence[bytes]

    def check_repeats(self, record: RequestRecord) -> None:
        """Check that this is a repetition of the request that has a record.

        Raises:
            InvalidArgumentError: it is another request.
        """
        if record.method == self.method and any(
            compare_digest(record.digest, digest) for digest in self.digests
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
        task: ends with the reply to every caller.
        announced: whether the record is stored, so that the request may have had an effect.
        cancelled: whether CancelRequest ends it.
        waiting: the task that may be cancelled to end it; None: none may.
        feed: its progress.
    """

    record: RequestRecord
    task: "asyncio.Task[bytes]" = field(init=False)
    announced: bool = False
    cancelled: bool = False
    waiting: "asyncio.Task[Any] | None" = None
    feed: Feed = field(default_factory=Feed)

    def on_waiting(self, task: "asyncio.Task[Any] | None") -> None:
        """Set the task that may be cancelled."""
        self.waiting = task
