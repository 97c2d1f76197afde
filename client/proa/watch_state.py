"""The state of a watch: one continuous sequence of events over any number of calls.

This module makes no call; `proa.watching` and `proa.aio.watching` do.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from grpc import StatusCode

from proa import v1
from proa.backoff import Backoff, is_transient
from proa.errors import Details, Error, InvalidArgument, OutOfRange, Unavailable
from proa.events import Change, Disconnected, Event, Gap, Reconnected, Synced
from proa.timing import ClientTiming
from proa.tokens import RENEWABLE

_MISSED_HEARTBEATS = 3
_IDENTITY = ("id", "engine", "path")
_Engine = tuple[str, str]


class WatchState:
    """Turns the responses and failures of a watch's calls into the user's events.

    Keeps every resource as last reported to the user. An initial state that is sent again
    is compared with that, and only the differences become events.

    Args:
        filter: the resources to watch; None for all.
        read_mask: fields of Resource to send; empty for all. The fields that identify a
            resource are always sent.
        heartbeat: heartbeat interval to ask for, in seconds; None for the daemon's own.
        timing: the default heartbeat interval, and the pauses between calls.
        clock: monotonic time in seconds.

    Attributes:
        patience: how long to wait for a response before the call counts as broken, in seconds.
        backoff: pause before the next call, in seconds.
    """

    def __init__(
        self,
        filter: v1.ResourceFilter | None,
        read_mask: Iterable[str],
        heartbeat: timedelta | float | None,
        *,
        timing: ClientTiming = ClientTiming(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._request = v1.WatchResourcesRequest(filter=filter)
        paths = list(read_mask)
        if paths:
            missing = [path for path in _IDENTITY if path not in paths]
            self._request.read_mask.CopyFrom(FieldMask(paths=[*paths, *missing]))
        interval = timing.heartbeat
        if heartbeat is not None:
            if not isinstance(heartbeat, timedelta):
                heartbeat = timedelta(seconds=heartbeat)
            interval = heartbeat.total_seconds()
            requested = Duration()
            requested.FromTimedelta(heartbeat)
            self._request.heartbeat_interval.CopyFrom(requested)
        self.patience = _MISSED_HEARTBEATS * interval
        self.backoff = 0.0
        # By path.
        self._reported: dict[str, v1.Resource] = {}
        # The resources in the current initial state; None once that is complete.
        self._listed: set[str] | None = set()
        # The engines that this call reported as lost, and their resources as last reported:
        # a daemon that was restarted without these engines does not know the resources.
        self._lost_engines: set[_Engine] = set()
        self._kept: set[str] = set()
        self._synced = False  # in any call
        self._responded = False  # in this call
        self._begun = False  # a response came, in any call
        self._disconnected = False
        self._calls = Backoff(timing, clock)

    def request(self) -> v1.WatchResourcesRequest:
        """Return the request of the next call."""
        self._calls.begin()
        self._responded = False
        if not self._request.resume_token:
            self._restart()
        return self._request

    def apply(self, response: v1.WatchResourcesResponse) -> list[Event]:
        """Apply a response, and return the events for the user."""
        events: list[Event] = []
        self._responded = self._begun = True
        if self._disconnected:
            self._disconnected = False
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
        """Apply the failure of a call, and return the events for the user.

        Raises:
            Error: `error` itself, if another call cannot succeed.
        """
        if not self._begun:
            raise error
        events: list[Event] = []
        if self._request.resume_token and isinstance(error, OutOfRange | InvalidArgument):
            # An earlier call passed with the same arguments, so that the token is the cause.
            self._restart()
            events.append(Gap(v1.GAP_KIND_WATCH_RESTARTED, message=error.message))
        elif is_transient(error):
            if not self._disconnected:
                self._disconnected = True
                events.append(Disconnected(error))
        elif not (self._responded and error.reason in RENEWABLE):
            # An expired token is renewed by the next call, if it can be renewed.
            raise error
        self.backoff = self._calls.after(error)
        return events

    def _restart(self) -> None:
        self._request.resume_token = ""
        self._listed = set()
        self._lost_engines.clear()

    def _changed(self, change: v1.ResourceChange) -> Iterator[Change]:
        resource = change.resource
        path = resource.path
        before = self._reported.pop(path, None)
        self._kept.discard(path)
        if change.type == v1.CHANGE_TYPE_REMOVED:
            if before is not None:
                yield _change(change.type, change)
            return
        self._reported[path] = resource
        if self._listed is not None:
            self._listed.add(path)
        if before is None:
            is_new = self._synced or change.type != v1.CHANGE_TYPE_EXISTING
            yield _change(v1.CHANGE_TYPE_ADDED if is_new else v1.CHANGE_TYPE_EXISTING, change)
        elif change.type == v1.CHANGE_TYPE_MODIFIED:
            yield _change(change.type, change)
        elif _content(before) != _content(resource):
            yield Change(v1.CHANGE_TYPE_MODIFIED, resource, before.state)

    def _complete(self) -> Iterator[Event]:
        listed, self._listed = self._listed, None
        if listed is not None:
            unlisted = self._reported.keys() - listed
            self._kept = {path for path in unlisted if self._engine_of(path) in self._lost_engines}
            yield from self._removed(unlisted - self._kept)
        self._synced = True
        yield Synced()

    def _gap(self, gap: v1.Gap) -> Iterator[Event]:
        match gap.kind:
            case v1.GAP_KIND_WATCH_RESTARTED:
                self._restart()
            case v1.GAP_KIND_ENGINE_LOST:
                self._lost_engines.add(_engine(gap.engine))
            case v1.GAP_KIND_ENGINE_RESYNCED:
                engine = _engine(gap.engine)
                self._lost_engines.discard(engine)
                yield from self._removed(
                    {path for path in self._kept if self._engine_of(path) == engine}
                )
        yield Gap(gap.kind, gap.engine if gap.HasField("engine") else None, gap.message)

    def _engine_of(self, path: str) -> _Engine:
        return _engine(self._reported[path].engine)

    def _removed(self, paths: Iterable[str]) -> Iterator[Change]:
        for path in sorted(paths):
            self._kept.discard(path)
            resource = self._reported.pop(path)
            yield Change(v1.CHANGE_TYPE_REMOVED, resource, resource.state)


def ended() -> Error:
    """Return the error of a stream that ended with OK, which no watch should."""
    return Unavailable(StatusCode.UNAVAILABLE, Details(message="the daemon ended the watch"))


def silent(patience: float) -> Error:
    """Return the error of a stream without a response for `patience` seconds."""
    message = f"nothing was heard from the daemon for {patience:g} s"
    return Unavailable(StatusCode.UNAVAILABLE, Details(message=message))


def _engine(ref: v1.EngineRef) -> _Engine:
    return ref.host, ref.driver


def _change(type: v1.ChangeType.ValueType, change: v1.ResourceChange) -> Change:
    return Change(type, change.resource, change.previous_state, change.cause, change.actor)


def _content(resource: v1.Resource) -> bytes:
    """Return a resource without the fields that change with each run of the daemon."""
    content = v1.Resource()
    content.CopyFrom(resource)
    for field in ("etag", "epoch", "revision", "observe_time"):
        content.ClearField(field)
    return content.SerializeToString(deterministic=True)
