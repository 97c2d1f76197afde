"""Following what the engine tells of its containers.

Docker drops the events of those who read slowly, without a word. They are therefore read
off the connection as fast as they come, by a thread that does nothing else, and wait as
one hint per container.
"""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime

from proad.drivers.docker.api import filters
from proad.drivers.docker.engine import Engine
from proad.drivers.docker.errors import ENGINE
from proad.drivers.docker.events import Told, translate
from proad.drivers.docker.lookup import Lookup, path
from proad.drivers.docker.stream import Stream
from proad.drivers.docker.transport import CONNECT_TIMEOUT
from proad.drivers.hints import Hints
from proad.drivers.own_events import OwnEvents
from proad.drivers.threads import call_soon_threadsafe
from proad.drivers.tolerant import Value
from proad.errors import EngineUnreachableError, ProaError
from proad.model import EngineEvent

# How long a look may take before its hint is told all the same, and how long a later look
# at a container that is slow, or hangs; how many of the later ones there are at once, and
# the seconds before each.
_FIRST_LOOK = timedelta(seconds=0.2)
_LATER_LOOK = timedelta(seconds=2)
_LATER_LOOKS = 4
_LATER = (0, 5, 10, 20)
# Seconds in which more of the same container may come, such as pauses that do not last.
_GATHER = 0.01


@asynccontextmanager
async def subscribed(
    engine: Engine, lookup: Lookup, own: OwnEvents
) -> AsyncIterator[AsyncIterator[EngineEvent]]:
    """Follow the engine's events, but for those of our `own` acts; see the port."""
    subscription = Subscription(engine, lookup, own)
    try:
        await subscription.begin()
        yield subscription.hints
    finally:
        await subscription.close()


class Subscription:
    """One stream of events, and the `hints` made of it."""

    def __init__(self, engine: Engine, lookup: Lookup, own: OwnEvents) -> None:
        self.hints = Hints()
        self._engine = engine
        self._lookup = lookup
        self._own = own
        self._stream = Stream()
        self._loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._closed = False
        # Events that Docker's list may not show yet.
        self._early: dict[str, EngineEvent] = {}
        self._settling: set[asyncio.Task[None]] = set()
        self._later_looks = asyncio.Semaphore(_LATER_LOOKS)
        # What the thread has read and the loop has not fetched.
        self._lock = threading.Lock()
        self._read: dict[str, Told] = {}

    async def begin(self) -> None:
        """Subscribe."""
        try:
            since = await self._engine_time()
        except ProaError as error:
            raise _lost(error) from error
        self._lookup.origins.listeners.add(self._learnt)
        thread = threading.Thread(
            target=self._follow, args=(since,), name=f"{ENGINE}-events", daemon=True
        )
        thread.start()
        await self._opened

    async def close(self) -> None:
        """Hang up; the thread ends by that."""
        self._closed = True
        self._lookup.origins.listeners.discard(self._learnt)
        self._stream.hang_up()
        self._opened.cancel()
        for task in self._settling:
            task.cancel()
        await asyncio.gather(*self._settling, return_exceptions=True)

    async def _engine_time(self) -> int:
        """Give the engine's time, in seconds since 1970, up to a second early.

        Docker begins to answer a moment before it subscribes. What falls in between, and
        what has been in the second before, comes out of its memory of past events.
        """
        answer = await self._engine.get(
            "/_ping", timeout=min(CONNECT_TIMEOUT, self._engine.timeout)
        )
        try:
            return int(parsedate_to_datetime(answer.date).astimezone(UTC).timestamp())
        except (ValueError, OverflowError):
            raise EngineUnreachableError(ENGINE, "the answer has no date") from None

    def _follow(self, since: int) -> None:
        """Read events until the connection ends. Runs on the thread."""
        params = {
            "since": since,
            **filters({"type": ["container", "network"]}),
        }
        error = EngineUnreachableError(ENGINE, "the stream of events ended")
        try:
            for item in self._engine.streaming.follow(
                "/events", params=params, stream=self._stream, on_open=self._on_open
            ):
                self._take(item)
        except ProaError as trouble:
            error = _lost(trouble)
        except ValueError:
            error = EngineUnreachableError(ENGINE, "an event is not JSON")
        self._own.void()
        call_soon_threadsafe(self._loop, self._on_loss, error)

    def _take(self, item: Value) -> None:
        told = translate(item)
        if told is None:
            return
        id, action = told.event.id, item["Action"].text()
        if not self._own.takes(id, action, lambda: self._pass_on(told)):
            self._pass_on(told)

    def _pass_on(self, told: Told) -> None:
        """Have the loop fetch what was told. Runs on any thread."""
        id = told.event.id
        with self._lock:
            first = not self._read
            before = self._read.get(id)
            if before is not None:
                told = Told(before.event | told.event, before.early or told.early)
            self._read[id] = told
        if first:
            call_soon_threadsafe(self._loop, self._fetch)

    def _on_open(self) -> None:
        def opened() -> None:
            if not self._opened.done():
                self._opened.set_result(None)

        call_soon_threadsafe(self._loop, opened)

    def _on_loss(self, error: EngineUnreachableError) -> None:
        if not self._opened.done():
            self._opened.set_exception(error)
        self.hints.lose(error)

    def _fetch(self) -> None:
        with self._lock:
            read, self._read = self._read, {}
        if self._closed:
            return
        for id, (event, early) in read.items():
            if event.removed:
                self._lookup.forget(id)
            if not early or event.removed:
                self.hints.add(event)
            elif id in self._early:
                self._early[id] |= event
            else:
                self._early[id] = event
                task = asyncio.create_task(self._settle(id))
                self._settling.add(task)
                task.add_done_callback(self._settling.discard)

    def _learnt(self, id: str) -> None:
        """Tell of a container that Docker's list does not show as it is."""
        self.hints.add(EngineEvent(id=id))

    async def _settle(self, id: str) -> None:
        """Pass an early hint on when the engine's list shows what it is about.

        Docker keeps a container locked from before the event until its list has the new
        state, and an inspect waits for that lock. One that hangs may keep it for ever: the
        hint is told then, too, and again where the container goes on soon.
        """
        await asyncio.sleep(_GATHER)
        event = self._early.pop(id)  # what comes from here on needs looks of its own
        settled = await self._look(id, _FIRST_LOOK)
        self.hints.add(event)
        for pause in () if settled else _LATER:
            await asyncio.sleep(pause)
            async with self._later_looks:
                settled = await self._look(id, _LATER_LOOK)
            if settled:
                self.hints.add(event)
                return

    async def _look(self, id: str, limit: timedelta) -> bool:
        try:
            await self._engine.get(path(id, "/json"), timeout=min(limit, self._engine.timeout))
        except ProaError:
            return False
        return True


def _lost(error: ProaError) -> EngineUnreachableError:
    if isinstance(error, EngineUnreachableError):
        return error
    return EngineUnreachableError(ENGINE, error.message)
