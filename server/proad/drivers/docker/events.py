"""What Docker's events say about containers, and following them.

Docker drops the events of those who read slowly, without a word. They are therefore read
off the connection as fast as they come, by a thread that does nothing else, and wait as
one hint per container.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple, Self

from proad.drivers.docker.engine import Engine, filters
from proad.drivers.docker.errors import ENGINE
from proad.drivers.docker.lookup import FULL_ID, Lookup, path
from proad.drivers.docker.stream import Stream
from proad.drivers.docker.transport import CONNECT_TIMEOUT
from proad.errors import EngineUnreachableError, ProaError
from proad.model import EngineEvent

Json = Mapping[str, Any]

# What is told of a container although nothing that we show is changed by it.
_SILENT = frozenset(
    {
        "archive-path",
        "attach",
        "checkpoint",
        "commit",
        "copy",
        "detach",
        "exec_create",
        "exec_detach",
        "exec_die",
        "exec_start",
        "export",
        "extract-to-dir",
        "kill",  # the sending of a signal; what comes of it is told, too
        "resize",
        "top",
    }
)
# Changes that a SUMMARY may not show.
_RECONFIGURED = frozenset({"health_status", "oom", "restart", "update"})
# Docker tells of these while it is still at it: its list shows them some time later.
_EARLY = frozenset({"connect", "die", "disconnect", "oom", "pause", "unpause"})

# How long one look may take, how many there are at once, and the pause after one in vain.
_LOOK = timedelta(seconds=2)
_LOOKS = 4
_AGAIN = 1.0
# Seconds in which more of the same container may come, such as pauses that do not last.
_GATHER = 0.01


class Hint(NamedTuple):
    """An event, and whether the engine's list may not show it yet."""

    event: EngineEvent
    early: bool


def translate(item: Json) -> Hint | None:
    """Make a hint of an event of GET /events, or None where nothing that we show changed."""
    actor = item.get("Actor") or {}
    action = str(item.get("Action") or "").partition(":")[0]
    if item.get("Type") == "container":
        id = str(actor.get("ID"))
    elif item.get("Type") == "network" and action in {"connect", "disconnect"}:
        id = str((actor.get("Attributes") or {}).get("container"))
    else:
        return None
    # A network also has ends that are no containers.
    if not FULL_ID.fullmatch(id) or action in _SILENT:
        return None
    event = EngineEvent(
        id=id,
        removed=action == "destroy",
        ended=action == "die",
        reconfigured=action in _RECONFIGURED,
    )
    return Hint(event, action in _EARLY)


@asynccontextmanager
async def subscribed(engine: Engine, lookup: Lookup) -> AsyncIterator["Subscription"]:
    """Follow the engine's events; see the port."""
    subscription = Subscription(engine, lookup)
    try:
        await subscription.begin()
        yield subscription
    finally:
        await subscription.close()


class Subscription:
    """The hints that wait to be read. It ends only with an EngineUnreachableError."""

    def __init__(self, engine: Engine, lookup: Lookup) -> None:
        self._engine = engine
        self._lookup = lookup
        self._stream = Stream()
        self._loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._something = asyncio.Event()
        self._lost: EngineUnreachableError | None = None
        self._ready: dict[str, EngineEvent] = {}
        self._early: dict[str, EngineEvent] = {}
        self._looks = asyncio.Semaphore(_LOOKS)
        self._settling: set[asyncio.Task[None]] = set()
        # What the thread has read and the loop has not fetched.
        self._lock = threading.Lock()
        self._read: dict[str, Hint] = {}

    async def begin(self) -> None:
        """Subscribe."""
        try:
            since = await self._engine_time()
        except ProaError as error:
            raise _lost(error) from error
        thread = threading.Thread(
            target=self._follow, args=(since,), name=f"{ENGINE}-events", daemon=True
        )
        thread.start()
        await self._opened

    async def close(self) -> None:
        """Hang up; the thread ends by that."""
        self._stream.hang_up()
        self._opened.cancel()
        for task in self._settling:
            task.cancel()
        await asyncio.gather(*self._settling, return_exceptions=True)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> EngineEvent:
        while not self._ready:
            if self._lost is not None:
                raise self._lost
            self._something.clear()
            await self._something.wait()
        return self._ready.pop(next(iter(self._ready)))

    async def _engine_time(self) -> datetime:
        """Give the engine's time, up to a second early.

        Docker begins to answer a moment before it subscribes. What falls in between, and
        what has been in the second before, comes out of its memory of past events.
        """
        answer = await self._engine.get(
            "/_ping", timeout=min(CONNECT_TIMEOUT, self._engine.timeout)
        )
        try:
            return parsedate_to_datetime(answer.date)
        except ValueError:
            raise EngineUnreachableError(ENGINE, "the answer has no date") from None

    def _follow(self, since: datetime) -> None:
        """Read events until the connection ends. Runs on the thread."""
        params = {
            "since": int(since.astimezone(UTC).timestamp()),
            **filters({"type": ["container", "network"]}),
        }
        error = EngineUnreachableError(ENGINE, "the stream of events ended")
        try:
            for item in self._engine.follow(
                "/events", params=params, stream=self._stream, on_open=self._on_open
            ):
                self._take(item)
        except ProaError as trouble:
            error = _lost(trouble)
        except ValueError:
            error = EngineUnreachableError(ENGINE, "an event is not JSON")
        self._hand_over(lambda: self._on_loss(error))

    def _take(self, item: Json) -> None:
        hint = translate(item)
        if hint is None:
            return
        id = hint.event.id
        with self._lock:
            first = not self._read
            before = self._read.get(id)
            if before is not None:
                hint = Hint(before.event | hint.event, before.early or hint.early)
            self._read[id] = hint
        if first:
            self._hand_over(self._fetch)

    def _on_open(self) -> None:
        def opened() -> None:
            if not self._opened.done():
                self._opened.set_result(None)

        self._hand_over(opened)

    def _hand_over(self, call: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(call)

    def _fetch(self) -> None:
        with self._lock:
            read, self._read = self._read, {}
        for id, (event, early) in read.items():
            if event.removed:
                self._lookup.forget(id)
            if not early or event.removed:
                self._offer(event)
            elif id in self._early:
                self._early[id] = self._early[id] | event
            else:
                self._early[id] = event
                self._spawn(self._settle(id))

    def _offer(self, event: EngineEvent) -> None:
        self._ready[event.id] = self._ready.get(event.id, event) | event
        self._something.set()

    def _on_loss(self, error: EngineUnreachableError) -> None:
        if not self._opened.done():
            self._opened.set_exception(error)
        self._lost = error
        self._something.set()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def _settle(self, id: str) -> None:
        """Pass an early hint on when the engine's list shows what it is about.

        Docker keeps a container locked from before the event until its list has the new
        state, and an inspect waits for that lock.
        """
        await asyncio.sleep(_GATHER)
        while True:
            async with self._looks:
                # An event that comes from here on needs another look.
                event = self._early.pop(id)
                seen = await self._look(id)
            self._offer(event)
            if seen or id in self._early:
                return
            self._early[id] = event
            await asyncio.sleep(_AGAIN)

    async def _look(self, id: str) -> bool:
        try:
            await self._engine.get(path(id, "/json"), timeout=min(_LOOK, self._engine.timeout))
        except ProaError:
            return False
        return True


def _lost(error: ProaError) -> EngineUnreachableError:
    if isinstance(error, EngineUnreachableError):
        return error
    return EngineUnreachableError(ENGINE, error.message)
