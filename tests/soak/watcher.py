"""A client that knows only the events of a watch."""

import threading
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Self

import proa
from proa import v1


class Replica:
    """The resources of a daemon, kept from the events of a watch alone.

    It also checks the events against each other: each event about a resource has to fit
    the events before.
    """

    def __init__(self) -> None:
        self.resources: dict[str, v1.Resource] = {}
        self.synced = False
        self.gaps: list[tuple[str, v1.GapKind.ValueType]] = []
        self.changes = 0
        self.faults: list[str] = []
        self._fresh: dict[str, v1.Resource] = {}

    def begin_anew(self) -> None:
        """Prepare for an initial state."""
        self.synced, self._fresh = False, {}

    def take(self, events: Iterable[v1.WatchEvent]) -> None:
        for event in events:
            match event.WhichOneof("event"):
                case "change":
                    self._change(event.change)
                case "gap":
                    self.gaps.append((event.gap.engine.driver, event.gap.kind))
                    if event.gap.kind == v1.GAP_KIND_WATCH_RESTARTED:
                        self.begin_anew()
                case "bookmark" if event.bookmark.synced:
                    if self.synced:
                        self.faults.append("synced twice")
                    self.synced, self.resources, self._fresh = True, self._fresh, {}

    def gaps_of(self, engine: str, kind: v1.GapKind.ValueType) -> int:
        return self.gaps.count((engine, kind))

    def _change(self, change: v1.ResourceChange) -> None:
        resource = change.resource
        if change.type == v1.CHANGE_TYPE_EXISTING:
            if self.synced:
                self.faults.append(f"{resource.name}: EXISTING after the bookmark")
            self._fresh[resource.id] = resource
            return
        self.changes += 1
        before = self.resources.get(resource.id)
        if not self.synced:
            self.faults.append(f"{resource.name}: changed before the bookmark")
        if (before is None) != (change.type == v1.CHANGE_TYPE_ADDED):
            name = v1.ChangeType.Name(change.type)
            self.faults.append(f"{resource.name}: {name}, known: {before is not None}")
        if before is not None:
            if before.revision >= resource.revision:
                self.faults.append(f"{resource.name}: {resource.revision} not after the last one")
            if before.state != change.previous_state:
                self.faults.append(f"{resource.name}: the state before is another one")
        if change.type == v1.CHANGE_TYPE_REMOVED:
            self.resources.pop(resource.id, None)
        else:
            self.resources[resource.id] = resource


class Watcher:
    """Follows a watch in a thread while it is entered.

    With `break_after` it hangs up after so many responses, again and again, and goes on
    with its resume token. It lists anew where it is told to.
    """

    def __init__(
        self,
        client: proa.Client,
        which: v1.ResourceFilter | None = None,
        *,
        break_after: int = 0,
    ) -> None:
        self.replica = Replica()
        self.resumed = self.compacted = 0
        self.token = ""
        self.ended: BaseException | None = None
        self._client = client
        self._which = which
        self._break_after = break_after
        self._call: Any = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        while not self.replica.synced and self.ended is None:
            self._over.wait(0.01)
        self.check()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._call is not None:
            self._call.cancel()
        self._thread.join(10)

    def check(self) -> None:
        """Raise the recorded error, if any."""
        if self.ended is not None:
            raise RuntimeError("the watch ended") from self.ended
        assert not self.replica.faults, self.replica.faults[:5]

    def _follow(self) -> None:
        try:
            while not self._over.is_set():
                self._call = self._client.resources.WatchResources(
                    v1.WatchResourcesRequest(filter=self._which, resume_token=self.token)
                )
                try:
                    self._read()
                except proa.OutOfRange:
                    self.compacted += 1
                    self.token = ""
                    self.replica.begin_anew()
                except proa.Cancelled:
                    if self._over.is_set():
                        return
        except BaseException as error:  # noqa: BLE001 - told by `check`
            self.ended = error

    def _read(self) -> None:
        responses = 0
        with suppress(StopIteration):
            while True:
                response = next(self._call)
                self.replica.take(response.events)
                self.token = response.resume_token
                responses += 1
                if self.token and responses == self._break_after:
                    self._call.cancel()
                    self.resumed += 1
                    return
