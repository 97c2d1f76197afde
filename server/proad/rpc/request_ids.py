"""Requests with an id, and requests that are only checked."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from hashlib import blake2b
from typing import Any
from uuid import uuid4

from proa import v1
from proad.core.requests import (
    NewRequest,
    Publish,
    RequestAnswer,
    RequestJournal,
    RequestKey,
    Written,
    announce_to,
)
from proad.core.tenancy import current_visibility
from proad.errors import InvalidArgumentError, ProaError, together
from proad.model import Intent, Plan
from proad.rpc import caller
from proad.rpc.answers import answer_of
from proad.rpc.encode import encode
from proad.rpc.methods import Method

Unary = Callable[[Any, Any], Awaitable[Any]]
Stream = Callable[[Any, Any], AsyncIterator[Any]]

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NIL = "00000000-0000-0000-0000-000000000000"


class _CheckedError(Exception):
    """All checks of a request that is only to be checked have passed."""


class RequestIds:
    """Serves the methods whose requests have `request_id` and `validate_only`.

    A request without an id goes straight to its servicer, unless its method always has one.

    Args:
        journal: runs requests with an id.
        keys: the keys of the digests of requests, the newest first.
    """

    def __init__(self, journal: RequestJournal, keys: Sequence[bytes]) -> None:
        self._journal = journal
        self._keys = keys

    def unary(self, method: Method, serve: Unary) -> Unary:
        """Return a function that serves the calls of a method with one response."""

        async def once(message: Any, context: Any) -> Any:
            if message.validate_only:
                return await _check(method, serve(message, context))
            if not message.request_id and method.always_journalled:
                message.request_id = str(uuid4())
            if not message.request_id:
                return await serve(message, context)

            async def answer(_publish: Publish) -> RequestAnswer:
                # The call may outlive its caller, and so its context.
                return answer_of(method, await serve(message, None))

            return await self._journal.run(self._request(method, message), answer)

        return once

    def stream(self, method: Method, serve: Stream) -> Stream:
        """Return a function that serves the calls of a method with a stream of responses."""

        async def once(message: Any, context: Any) -> AsyncIterator[Any]:
            if message.validate_only:
                yield await _check(method, _last(serve(message, context)))
                return
            if not message.request_id:
                async with aclosing(serve(message, context)) as responses:  # type: ignore[type-var]
                    async for response in responses:
                        yield response
                return

            async def answer(publish: Publish) -> RequestAnswer:
                return answer_of(method, await _last(serve(message, None), publish))

            async with aclosing(
                self._journal.follow(self._request(method, message), answer)
            ) as replies:
                async for reply in replies:
                    yield reply

        return once

    def _request(self, method: Method, message: Any) -> NewRequest:
        message.request_id = request_id(message)  # the digest must not depend on its case
        content = method.path.encode() + b"\0" + message.SerializeToString(deterministic=True)
        who = caller.current()
        return NewRequest(
            key=RequestKey(who.user_id, message.request_id),
            method=method.path,
            digests=[blake2b(content, key=key, digest_size=32).digest() for key in self._keys],
            scopes=who.scopes,
            sight=current_visibility().digest,
        )


def request_id(message: Any) -> str:
    """Return the id that a request has, in lower case.

    Raises:
        InvalidArgumentError: it is no UUID.
    """
    id: str = message.request_id.lower()
    if not _UUID.fullmatch(id) or id == _NIL:
        raise InvalidArgumentError.of(
            "request_id",
            "must be a UUID other than the nil UUID, such as 6f1c2a5e-0d1f-4c0a-9f63-2f2b1c7e8a11",
        )
    return id


async def _check(method: Method, served: Awaitable[Any]) -> bytes:
    """Serve a request up to its first effect; return a response with the plan alone, if any.

    Raises:
        ProaError: the first error that the request would meet, with the others that are known.
    """
    findings: list[ProaError] = []
    plans: list[Plan] = []
    announce_to(_end, findings=findings, plans=plans)
    try:
        await served
    except _CheckedError:
        pass
    except ProaError as error:
        findings.append(error)
    if findings:
        raise together(findings)
    response: Any = method.response()
    if plans:
        response.plan.CopyFrom(encode(v1.Plan, plans[-1]))
    encoded: bytes = response.SerializeToString()
    return encoded


async def _end(intent: Intent, written: Written) -> None:  # noqa: ARG001 - as Announce has it
    raise _CheckedError


async def _last(responses: Any, publish: Publish = lambda _response: None) -> Any:
    """Publish the responses of a stream, and return the last one."""
    response: Any = None
    async with aclosing(responses):
        async for response in responses:
            publish(response.SerializeToString())
    return response
