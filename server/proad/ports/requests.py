"""Records of requests with an id, which outlive the daemon.

Of a request there is a record from before its first effect on; a request that has had none has
no record.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from proad.model import Intent, RequestState


class RequestKey(NamedTuple):
    """A request: the id of its user, and the UUID that the user gave it, in lower case."""

    user_id: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRecord:
    """The record of one request.

    Attributes:
        key: the request.
        method: full path of the RPC.
        sight: whose resources the caller could see, as `Visibility.digest` tells; empty: all.
        digest: keyed digest of method and request; tells whether a repetition is one.
        state: what became of the request.
        path: canonical path of its resource, as far as there is one and it is known.
        start_time: when the request began.
        end_time: when its outcome was known; None: it is not.
        intent: what the request is about to change; None: it changed nothing.
        answer: the answer, or the failure, as `rpc` encodes them; empty while RUNNING.
    """

    key: RequestKey
    method: str
    digest: bytes
    state: RequestState = RequestState.RUNNING
    path: str = ""
    start_time: datetime
    end_time: datetime | None = None
    intent: Intent | None = None
    answer: bytes = b""
    sight: str = ""

    def shows_in(self, sight: str) -> bool:
        """Return whether it tells nothing to a caller with this sight that is out of it.

        One user may have tokens of different access, or another access than before.
        """
        return sight in {"", self.sight}


class RequestRecords(Protocol):
    """The records of the requests to one daemon.

    Every method raises DatabaseUnreachableError if the records cannot be read or written.
    """

    async def ends(self) -> dict[RequestKey, datetime | None]:
        """Return the end time of every request."""

    async def running(self) -> list[RequestRecord]:
        """Return the records whose outcome is not known, the oldest first."""

    async def failed_creates(self, since: datetime) -> list[tuple[Intent, datetime]]:
        """Return the intents of the creates that failed since then, and when they did."""

    async def get(self, key: RequestKey) -> RequestRecord | None:
        """Return a record; None if there is none."""

    async def page(
        self,
        user_id: str,
        *,
        sight: str = "",
        states: Collection[RequestState] = (),
        before: tuple[datetime, str] | None = None,
        most: int,
    ) -> list[RequestRecord]:
        """Return a user's records, the newest first, without intents and answers but of failures.

        What a list does not show may be large.

        Args:
            user_id: id of the user.
            sight: of these alone that were made with this sight; empty: of all.
            states: the states; empty: all.
            before: start time and request id of the last record of the page before.
            most: how many at the most.
        """

    async def add(self, record: RequestRecord) -> None:
        """Store a record, in place of the one with the same key if there is one."""

    async def settle(self, record: RequestRecord) -> None:
        """Store state, path, end time and answer of a record that was added."""

    async def remove(self, key: RequestKey) -> None:
        """Remove a record, of a request that will change nothing."""

    async def expire(self, before: datetime, most: int) -> list[RequestKey]:
        """Remove records that ended before a time, at most so many, and return their keys."""
