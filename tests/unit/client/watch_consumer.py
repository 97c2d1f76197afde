"""A user of either client who follows a watch."""

import asyncio
import threading
import time
from functools import partial

import proa
from unit.client.watch_server import Replica


def _close_soon(loop, watch):
    if not loop.is_closed():
        loop.call_soon_threadsafe(watch.close)


class WatchConsumer:
    """A user in a thread who notes what a watch of the one client or the other tells."""

    def __init__(self, kind, target, settings, **arguments):
        self.events = []
        self.error = None
        self.replica = Replica()
        self.pause = 0
        self._news = threading.Condition()
        self._kind, self._target, self._settings = kind, target, settings
        self._arguments = arguments
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._started.wait(30)

    def _run(self):
        try:
            if self._kind == "sync":
                self._follow()
            else:
                asyncio.run(self._follow_aio())
        except Exception as error:  # noqa: BLE001 - whatever it is, the test looks at it
            self.error = error

    def _follow(self):
        with proa.connect(self._target, **self._settings) as client:
            watch = client.watch(**self._arguments)
            self.close, self.close_client = watch.close, client.close
            self._started.set()
            for event in watch:
                self._note(event)

    async def _follow_aio(self):
        loop = asyncio.get_running_loop()
        async with proa.aio.connect(self._target, **self._settings) as client:
            watch = client.watch(**self._arguments)
            self.close = partial(_close_soon, loop, watch)
            self.close_client = lambda: asyncio.run_coroutine_threadsafe(
                client.close(), loop
            ).result(5)
            self._started.set()
            async for event in watch:
                self._note(event)

    def _note(self, event):
        with self._news:  # who waits sees both or neither
            self.replica.apply(event)
            self.events.append(event)
            self._news.notify_all()
        time.sleep(self.pause)

    def until(self, true):
        with self._news:
            assert self._news.wait_for(true, 30), (self.events, self.error)

    def until_told(self, kind, count=1):
        self.until(lambda: sum(isinstance(event, kind) for event in self.events) >= count)

    def until_agreed(self, watch_server):
        self.until(lambda: self.replica.agrees_with(watch_server))

    def ended(self):
        self._thread.join(30)
        return not self._thread.is_alive()

    def kinds(self):
        return [type(event).__name__ for event in self.events]
