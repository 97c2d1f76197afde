"""A subscription to Docker's events.

Docker silently drops the events of a client that reads slowly. Therefore a thread of its own
reads the stream as fast as the events come, and hands them over to the event loop in batches,
so that a storm of events costs one wake-up.
"""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from typing import Never

from proad.drivers.docker.errors import ENGINE
from proad.drivers.docker.event_inbox import EventInbox
from proad.drivers.docker.events import DockerEvent, translate
from proad.drivers.docker.http.api import filters
from proad.drivers.docker.http.engine_client import EngineClient
from proad.drivers.docker.http.stream import Stream
from proad.drivers.docker.reader import path
from proad.drivers.docker.summary_cache import SummaryCache
from proad.drivers.docker.timing import SubscriptionTiming
from proad.drivers.subscriber import Subscriber
from proad.drivers.threads import call_soon_threadsafe
from proad.errors import EngineUnreachableError, ProaError
from proad.ports import OnEvent

# Locks of containers that are checked again at the same time.
_RECHECKS = 4


@asynccontextmanager
async def subscribed(
    engine: EngineClient, cache: SummaryCache, on_event: OnEvent, timing: SubscriptionTiming
) -> AsyncIterator[asyncio.Future[Never]]:
    """Call `on_event` for each event while the block lasts; see `ports.Driver.subscribe`."""
    subscription = Subscription(engine, cache, on_event, timing)
    try:
        await subscription.begin()
        yield subscription.lost
    finally:
        await subscription.close()


class Subscription:
    """One stream of events, from the engine's connection to `on_event`."""

    def __init__(
        self,
        engine: EngineClient,
        cache: SummaryCache,
        on_event: OnEvent,
        timing: SubscriptionTiming,
    ) -> None:
        self._subscriber = Subscriber(on_event)
        self.lost = self._subscriber.lost
        self._timing = timing
        self._engine = engine
        self._cache = cache
        self._caching = ExitStack()
        self._stream = Stream()
        self._loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[None] = self._loop.create_future()
        # Events that Docker's list may not show yet: one check serves all of a container.
        self._early: dict[str, DockerEvent] = {}
        self._checks: set[asyncio.Task[None]] = set()
        self._rechecks = asyncio.Semaphore(_RECHECKS)
        # Read by the thread, and not yet received by the loop.
        self._inbox = EventInbox(self._loop, self._receive)

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
        self._caching.enter_context(self._cache.subscribed())

    async def close(self) -> None:
        """Close the connection, which ends the thread."""
        self._subscriber.close()
        self._caching.close()
        self._stream.hang_up()
        self._opened.cancel()
        for task in self._checks:
            task.cancel()
        await asyncio.gather(*self._checks, return_exceptions=True)

    async def _engine_time(self) -> int:
        """Return the engine's time in seconds since 1970, rounded down.

        Docker begins to answer a moment before it subscribes. Asking for past events since
        this time closes the gap.
        """
        answer = await self._engine.get(
            "/_ping", timeout=min(self._engine.api.connect_timeout, self._engine.timeout)
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
                if (event := translate(item)) is not None:
                    self._inbox.put(event)
        except ProaError as trouble:
            error = _lost(trouble)
        except ValueError:
            error = EngineUnreachableError(ENGINE, "an event is not JSON")
        call_soon_threadsafe(self._loop, self._on_loss, error)

    def _on_open(self) -> None:
        def opened() -> None:
            if not self._opened.done():
                self._opened.set_result(None)

        call_soon_threadsafe(self._loop, opened)

    def _on_loss(self, error: EngineUnreachableError) -> None:
        if not self._opened.done():
            self._opened.set_exception(error)
        self._caching.close()
        self._subscriber.lose(error)

    def _receive(self, event: DockerEvent) -> None:
        if self.lost.done():
            return
        if not event.early:
            self._publish(event)
            return
        id = event.event.id
        if not event.state_only:
            self._cache.forget(id)
        if id in self._early:
            self._early[id] |= event
        else:
            self._early[id] = event
            task = asyncio.create_task(self._publish_unlocked(id))
            self._checks.add(task)
            task.add_done_callback(self._checks.discard)

    def _publish(self, event: DockerEvent) -> None:
        if not event.state_only:
            self._cache.forget(event.event.id)
        self._subscriber.publish(event.event)

    async def _publish_unlocked(self, id: str) -> None:
        """Publish an early event as soon as the engine's list shows the change.

        Docker locks a container from before the event until its list has the new state.
        A container that hangs may stay locked for ever: its event is published after a
        moment all the same, and again if the lock becomes free later.
        """
        gather = self._timing.gather_own.total_seconds()
        if self._cache.since_transition(id) > gather:
            gather = self._timing.gather.total_seconds()
        await asyncio.sleep(gather)
        event = self._early.pop(id)  # later events need a check of their own
        unlocked = await self._is_unlocked(id, self._timing.check)
        self._publish(event)
        for pause in () if unlocked else self._timing.recheck_after:
            await asyncio.sleep(pause.total_seconds())
            async with self._rechecks:
                unlocked = await self._is_unlocked(id, self._timing.recheck)
            if unlocked:
                self._publish(event)
                return

    async def _is_unlocked(self, id: str, limit: timedelta) -> bool:
        """Return whether a container's lock is free; an inspect waits for the lock."""
        try:
            await self._engine.get(path(id, "/json"), timeout=min(limit, self._engine.timeout))
        except ProaError:
            return False
        return True


def _lost(error: ProaError) -> EngineUnreachableError:
    if isinstance(error, EngineUnreachableError):
        return error
    return EngineUnreachableError(ENGINE, error.message)
