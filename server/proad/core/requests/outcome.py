"""What becomes of a request, and who can tell."""

from dataclasses import dataclass
from typing import Protocol

from proad.errors import ProaError
from proad.model import Resource, Snapshot, Volume
from proad.ports.requests import RequestRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestAnswer:
    """The answer of a request that succeeded.

    Attributes:
        reply: the response, encoded, as the callers of the request get it.
        stored: the response, encoded, as later repetitions get it: in SUMMARY views, without
            secrets.
        path: canonical path of the resource in the response; empty: there is none.
    """

    reply: bytes
    stored: bytes
    path: str = ""


class RepeatedFailure(Exception):  # noqa: N818 - another call's failure; no error of this one
    """The request failed before, and a repetition fails in the same way.

    Attributes:
        failure: the failure, as `AnswerCodec.failure` encoded it.
    """

    def __init__(self, failure: bytes) -> None:
        super().__init__("repeated")
        self.failure = failure


class AnswerCodec(Protocol):
    """Encodes answers and failures; `rpc` implements it."""

    def failure(self, error: ProaError) -> bytes:
        """Return a failure."""

    def response(self, method: str, about: Resource | Snapshot | Volume | None) -> RequestAnswer:
        """Return the answer of an interrupted request that turned out to have succeeded.

        Args:
            method: full path of the RPC.
            about: what the response tells of; None: nothing.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What became of a request that was interrupted.

    Attributes:
        error: how it failed; None: it succeeded.
        about: what its response tells of, if it succeeded.
    """

    error: ProaError | None = None
    about: Resource | Snapshot | Volume | None = None


class Judge(Protocol):
    """Finds out what became of requests that were interrupted."""

    async def judge(self, record: RequestRecord) -> Judgement | None:
        """Return what became of a request; None: that cannot be told yet.

        What the request has left half done is undone before. A ProaError counts as None.
        """
