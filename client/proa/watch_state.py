"""The state of a watch: one continuous sequence of events over any number of calls.

This module makes no call; `proa.watching` and `proa.aio.watching` do.
"""

import random
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from grpc import StatusCode

from proa import v1
from proa.errors import Details, Error, InvalidArgument, OutOfRange, Unavailable
from proa.events import Change, Disconnected, Event, Gap, Reconnected, Synced
from proa.tokens import RENEWABLE

HEARTBEAT = 15.0
"""The daemon's own heartbeat interval, in seconds."""

FIRST_WAIT = 0.1
LONGEST_WAIT = 5.0
"""Bounds of the pause before another call, in seconds; the real one is random below that."""

_STEADY = 10.0
_MISSED_HEARTBEATS = 3
_IDENTITY = ("id", "kind", "host")
_OF_THE_TRANSPORT = frozenset(
    {StatusCode.INTERNAL, StatusCode.UNKNOWN, StatusCode.CANCELLED, StatusCode.DEADLINE_EXCEEDED}
)

_KIND_OF = {"docker": v1.RESOURCE_KIND_CONTAINER, "libvirt": v1.RESOURCE_KIND_DOMAIN}

_Key = tuple[str, v1.ResourceKind.ValueType, str]


class WatchState:
    """Turns the responses and failures of a watch's calls into the user's events.

    Keeps every resource as last reported to the user. An initial state that is sent again
    is compared with that, and only the differences become events.

    Args:
        filter: which resources; None: all.
        read_mask: fields of Resource to send; empty: all. Those that tell resources
            apart are always sent.
        heartbeat: how long the stream may be silent, in seconds; None: as the daemon
            has it.

    Attributes:
        patience: how long to wait for a response before the call is given up, in seconds.
        wait: how long to wait before the next call, in seconds.
    """

    def __init__(
        self,
        filter: v1.ResourceFilter | None,
        read_mask: Iterable[str],
        heartbeat: timedelta | float | None,
    ) -> None:
        self._request = v1.WatchResourcesRequest(filter=filter)
        paths = list(read_mask)
        if paths:
            missing = [path for path in _IDENTITY if path not in paths]
            self._request.read_mask.CopyFrom(FieldMask(paths=[*paths, *missing]))
        interval = HEARTBEAT
        if heartbeat is not None:
            every = heartbeat if isinstance(heartbeat, timedelta) else timedelta(seconds=heartbeat)
            interval = every.total_seconds()
            asked = Duration()
            asked.FromTimedelta(every)
            self._request.heartbeat_interval.CopyFrom(asked)
        self.patience = _MISSED_HEARTBEATS * interval
        self.wait = 0.0
        self._reported: dict[_Key, v1.Resource] = {}
        # What the initial state that is being read has shown; None: it is complete.
        self._listed: set[_Key] | None = set()
        # Engines that are lost, as far as this call told, and what they had when they
        # were last heard of: a daemon that began anew without them cannot know of it.
        self._missing: set[str] = set()
        self._kept: set[_Key] = set()
        self._synced = False  # ever
        self._heard = False  # in this call
        self._begun = False  # a response has come, in any call
        self._lost = False
        self._failures = 0
        self._opened = 0.0

    def request(self) -> v1.WatchResourcesRequest:
        """What to ask the daemon for next."""
        self._opened = time.monotonic()
        self._heard = False
        if not self._request.resume_token:
            self._begin_again()
        return self._request

    def apply(self, response: v1.WatchResourcesResponse) -> list[Event]:
        """What a response means to the user."""
        events: list[Event] = []
        self._heard = self._begun = True
        if self._lost:
            self._lost = False
            events.append(Reconnected())
        for event in response.events:
            match event.WhichOneof("event"):
                case "change":
                    events += self._changed(event.change)
                case "bookmark" if event.bookmark.synced:
                    events += self._complete()
                case "gap":
                    events += self._gap(event.gap)
        if response.resume_token:
            self._request.resume_token = response.resume_token
        return events

    def fail(self, error: Error) -> list[Event]:
        """What the end of a call means to the user. Raises it where another call is no use."""
        if not self._begun:
            raise error
        events: list[Event] = []
        if self._request.resume_token and isinstance(error, OutOfRange | InvalidArgument):
            # All arguments but the token were good before.
            self._begin_again()
            events.append(Gap(v1.GAP_KIND_WATCH_RESTARTED, message=error.message))
        elif _passes(error):
            if not self._lost:
                self._lost = True
                events.append(Disconnected(error))
        elif not (self._heard and error.reason in RENEWABLE):
            # A token that ends in the middle is renewed by the next call, if it can be.
            raise error
        self._count(error)
        return events

    def _count(self, error: Error) -> None:
        if time.monotonic() - self._opened > _STEADY:
            self._failures = 0
        most = min(LONGEST_WAIT, FIRST_WAIT * 2**self._failures)
        self._failures += 1
        # At random, or all the watchers of a daemon would be back in one moment.
        self.wait = random.uniform(0, most)  # noqa: S311 - no secret
        if error.retry_after is not None:
            self.wait += error.retry_after.total_seconds()

    def _begin_again(self) -> None:
        self._request.resume_token = ""
        self._listed = set()
        self._missing.clear()

    def _changed(self, change: v1.ResourceChange) -> Iterator[Change]:
        resource = change.resource
        key = (resource.host, resource.kind, resource.id)
        before = self._reported.pop(key, None)
        self._kept.discard(key)
        if change.type == v1.CHANGE_TYPE_REMOVED:
            if before is not None:
                yield _change(change.type, change)
            return
        self._reported[key] = resource
        if self._listed is not None:
            self._listed.add(key)
        if before is None:
            known = self._synced or change.type != v1.CHANGE_TYPE_EXISTING
            yield _change(v1.CHANGE_TYPE_ADDED if known else v1.CHANGE_TYPE_EXISTING, change)
        elif change.type == v1.CHANGE_TYPE_MODIFIED:
            yield _change(change.type, change)
        elif _content(before) != _content(resource):
            yield Change(v1.CHANGE_TYPE_MODIFIED, resource, before.state)

    def _complete(self) -> Iterator[Event]:
        listed, self._listed = self._listed, None
        if listed is not None:
            unseen = {key for key in self._reported if key not in listed}
            self._kept = {key for key in unseen if any(_has(one, key) for one in self._missing)}
            yield from self._gone(unseen - self._kept)
        self._synced = True
        yield Synced()

    def _gap(self, gap: v1.Gap) -> Iterator[Event]:
        match gap.kind:
            case v1.GAP_KIND_WATCH_RESTARTED:
                self._begin_again()
            case v1.GAP_KIND_ENGINE_LOST:
                self._missing.add(gap.engine)
            case v1.GAP_KIND_ENGINE_RESYNCED:
                self._missing.discard(gap.engine)
                yield from self._gone({key for key in self._kept if _has(gap.engine, key)})
        yield Gap(gap.kind, gap.engine, gap.message)

    def _gone(self, keys: Iterable[_Key]) -> Iterator[Change]:
        for key in sorted(keys):
            self._kept.discard(key)
            gone = self._reported.pop(key)
            yield Change(v1.CHANGE_TYPE_REMOVED, gone, gone.state)


def ended() -> Error:
    """What a stream fails with that ends without an error: a watch never ends well."""
    return Unavailable(StatusCode.UNAVAILABLE, Details(message="the daemon ended the watch"))


def silent(patience: float) -> Error:
    """What a stream fails with that is silent for too long."""
    message = f"nothing was heard from the daemon for {patience:g} s"
    return Unavailable(StatusCode.UNAVAILABLE, Details(message=message))


def _passes(error: Error) -> bool:
    """Whether the same call may well succeed later."""
    if isinstance(error, Unavailable) or error.retry_after is not None:
        return True
    # Not the daemon's words: a stream reset, a proxy, a login that was not answered.
    return not error.reason and error.code() in _OF_THE_TRANSPORT


def _has(engine: str, key: _Key) -> bool:
    """Whether a resource may be one of the engine HOST/DRIVER."""
    host, kind, _ = key
    engine_host, _, driver = engine.rpartition("/")
    return host == engine_host and _KIND_OF.get(driver, kind) == kind


def _change(type: v1.ChangeType.ValueType, change: v1.ResourceChange) -> Change:
    return Change(type, change.resource, change.previous_state, change.cause, change.actor)


def _content(resource: v1.Resource) -> bytes:
    """What is told about a resource, but for what every run of the daemon has anew."""
    content = v1.Resource()
    content.CopyFrom(resource)
    for field in ("etag", "revision", "observe_time"):
        content.ClearField(field)
    return content.SerializeToString(deterministic=True)
