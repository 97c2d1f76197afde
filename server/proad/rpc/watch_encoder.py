"""Encoding of watches: events, once for all watchers, and resume tokens."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Callable
from typing import Any

from proa import v1
from proad.core.inventory import Batch, ResumePoint
from proad.errors import InvalidArgumentError
from proad.model import ChangeType, Resource, ResourceChange, WatchEvent
from proad.rpc.encode import encode
from proad.rpc.encodings import EncodingCache, LruCache, embedded, renumbered
from proad.rpc.masks import ReadMask
from proad.rpc.names import enum_number
from proad.rpc.redaction import Redact, nothing
from proad.rpc.signing import Signer

# Bytes of cached events: most watchers get the same ones at about the same time.
_ROOM = 8 * 2**20
# Bytes of a response. One of them, and a copy by gRPC, is kept for a watcher that does not read.
_MOST_BYTES = 2**13


class WatchEncoder:
    """Encodes the responses of WatchResources.

    Args:
        resources: encodes a resource as field 1 of a message.
        redact: leaves out of an event what the watchers may not read.
    """

    def __init__(self, resources: EncodingCache, redact: Redact = nothing) -> None:
        self._resources = resources
        self._redact = redact
        self._cached: LruCache[tuple[object, ...], bytes] = LruCache(_ROOM)
        self._existing = EncodingCache(self._exists)

    async def responses(
        self, batches: AsyncIterator[Batch], mask: ReadMask, token: "ResumeTokens"
    ) -> AsyncIterator[bytes]:
        """Encode batches."""
        async for batch in batches:
            pieces: list[bytes] = []
            size, reached = 0, None
            for revision, event in batch.events:
                piece = self._event(revision, event, mask)
                if pieces and size + len(piece) > _MOST_BYTES:
                    yield _closed(pieces, token.write(reached))
                    pieces, size = [], 0
                pieces.append(piece)
                size += len(piece)
                reached = None if batch.revision is None else revision or None
            yield _closed(pieces, token.write(batch.revision))

    def _event(self, revision: int, event: WatchEvent, mask: ReadMask) -> bytes:
        if mask:
            message = encode(v1.WatchEvent, event)
            if message.HasField("change"):
                message.change.resource.CopyFrom(mask.apply(message.change.resource))
            self._redact(message)
            return _response(message).SerializeToString()
        if event.change is None:
            return _response(encode(v1.WatchEvent, event)).SerializeToString()
        if event.change.type is ChangeType.EXISTING:
            return self._existing.get(event.change.resource)
        # Watchers who may not see the same get different events of one change.
        told = event.change
        key = (revision, told.type, told.previous_state, told.resource.owner_id)
        if (cached := self._cached.get(key)) is not None:
            return cached
        made = self._changed(event.change)
        return self._cached.put(key, made, len(made))

    def _exists(self, resource: Resource) -> bytes:
        return self._changed(ResourceChange(type=ChangeType.EXISTING, resource=resource))

    def _changed(self, change: ResourceChange) -> bytes:
        """Encode a change around its resource, whose encoding may be cached."""
        around = v1.ResourceChange(
            type=_number(v1.ChangeType, change.type),
            previous_state=_number(v1.ResourceState, change.previous_state),
            cause=_number(v1.ChangeCause, change.cause),
            actor=change.actor,
        )
        resource = renumbered(
            self._resources.get(change.resource), v1.ResourceChange.RESOURCE_FIELD_NUMBER
        )
        event = embedded(v1.WatchEvent.CHANGE_FIELD_NUMBER, around.SerializeToString() + resource)
        return embedded(v1.WatchResourcesResponse.EVENTS_FIELD_NUMBER, event)


class ResumeTokens:
    """Writes and reads the resume tokens of one watch.

    A token is signed and bound to the caller and the filter: to resume with another filter
    would miss changes.

    Args:
        signer: signs the tokens.
        user: the caller.
        point: returns the point at which the caller has reached a revision.
        filter: the resources that are watched.
    """

    def __init__(
        self,
        signer: Signer,
        user: str,
        point: Callable[[int], ResumePoint],
        filter: v1.ResourceFilter,
    ) -> None:
        self._point = point
        self._signer = signer.bound_to(
            b"resume_token",
            user.encode(),
            filter.SerializeToString(deterministic=True),
        )

    def write(self, revision: int | None) -> str:
        """Return the token of a revision; an empty one where a watch cannot resume."""
        return "" if revision is None else self.of(self._point(revision))

    def of(self, point: ResumePoint) -> str:
        """Return the token of a point."""
        content = point_text(point)
        return f"{content}.{self._signature(content)}"

    def read(self, token: str) -> ResumePoint | None:
        """Return the point of a token; None for an empty one.

        Raises:
            InvalidArgumentError: the token was made for another caller or filter.
        """
        if not token:
            return None
        content, _, signature = token.rpartition(".")
        if not self._signer.verifies(content.encode(), _bytes(signature)):
            raise InvalidArgumentError.of(
                "resume_token",
                "is not one that WatchResources or ListResources gave you for this filter; use the "
                "same filter, or watch without it, which begins with the present state",
            )
        return point_of(content)

    def _signature(self, content: str) -> str:
        return urlsafe_b64encode(self._signer.sign(content.encode())).decode().rstrip("=")


def point_text(point: ResumePoint) -> str:
    """Return a point as text, for a token."""
    return f"{point.epoch}.{point.revision}.{int(point.incomplete)}.{point.visibility}"


def point_of(text: str) -> ResumePoint:
    """Return the point in a text of `point_text`."""
    epoch, revision, incomplete, visibility = text.split(".")
    return ResumePoint(epoch, int(revision), incomplete == "1", visibility)


def _bytes(signature: str) -> bytes:
    """Return the bytes of a signature; none if it is not base64."""
    try:
        return urlsafe_b64decode(f"{signature}==")
    except ValueError:
        return b""


def _closed(pieces: list[bytes], resume_token: str) -> bytes:
    end = v1.WatchResourcesResponse(resume_token=resume_token)
    return b"".join([*pieces, end.SerializeToString()])


def _response(event: v1.WatchEvent) -> v1.WatchResourcesResponse:
    return v1.WatchResourcesResponse(events=[event])


def _number(enum: Any, name: str | None) -> Any:
    return 0 if name is None else enum_number(enum.DESCRIPTOR, name)
