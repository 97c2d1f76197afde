"""The wire side of a watch: resume tokens, and events that are encoded once for all."""

from collections.abc import AsyncIterator
from hashlib import sha256

from google.protobuf.field_mask_pb2 import FieldMask

from proa import v1
from proad.core.inventory import Batch
from proad.errors import InvalidArgumentError
from proad.model import WatchEvent
from proad.rpc.encode import encode
from proad.rpc.encodings import EncodedResources, Recent
from proad.rpc.masks import masked

_EVENTS = 16_384
# Clients take messages of 4 MiB by default.
_MOST_BYTES = 2**20


class EncodedEvents:
    """Makes responses of WatchResources."""

    def __init__(self) -> None:
        self._told: Recent[tuple[int, str], bytes] = Recent(_EVENTS)
        self._existing = EncodedResources(
            lambda resource: _response(
                v1.WatchEvent(
                    change=v1.ResourceChange(type=v1.CHANGE_TYPE_EXISTING, resource=resource)
                )
            )
        )

    async def responses(
        self, batches: AsyncIterator[Batch], mask: FieldMask, token: "ResumeTokens"
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

    def _event(self, revision: int, event: WatchEvent, mask: FieldMask) -> bytes:
        if mask.paths:
            message = encode(v1.WatchEvent, event)
            if message.HasField("change"):
                message.change.resource.CopyFrom(masked(message.change.resource, mask))
            return _response(message).SerializeToString()
        if revision:
            type = event.change.type if event.change is not None else ""
            return self._told.get((revision, type)) or self._told.keep(
                (revision, type), _response(encode(v1.WatchEvent, event)).SerializeToString()
            )
        if event.change is not None:
            return self._existing.get(event.change.resource)
        return _response(encode(v1.WatchEvent, event)).SerializeToString()


class ResumeTokens:
    """Writes and reads the resume tokens of one watch.

    A token is bound to the filter: to go on with another one would leave holes.

    Args:
        run_id: tells the revisions of this run of the daemon from those of another one.
        filter: what the watch is about.
    """

    def __init__(self, run_id: str, filter: v1.ResourceFilter) -> None:
        self._run_id = run_id
        self._mark = sha256(filter.SerializeToString(deterministic=True)).hexdigest()[:16]

    def write(self, revision: int | None) -> str:
        """Make the token of a revision; empty where nobody can go on."""
        return "" if revision is None else f"{self._run_id}.{revision}.{self._mark}"

    def read(self, token: str) -> tuple[str, int] | None:
        """Give the run and the revision of a token; None of an empty one.

        Raises:
            InvalidArgumentError: it is no token, or one of a watch with another filter.
        """
        if not token:
            return None
        match token.split("."):
            case [run_id, revision, mark] if revision.isascii() and revision.isdecimal():
                if mark != self._mark:
                    raise InvalidArgumentError.of(
                        "resume_token", "is of a watch with another filter; use the same one"
                    )
                return run_id, int(revision[:20])
            case _:
                raise InvalidArgumentError.of("resume_token", "is not a token of WatchResources")


def _closed(pieces: list[bytes], resume_token: str) -> bytes:
    end = v1.WatchResourcesResponse(resume_token=resume_token)
    return b"".join([*pieces, end.SerializeToString()])


def _response(event: v1.WatchEvent) -> v1.WatchResourcesResponse:
    return v1.WatchResourcesResponse(events=[event])
