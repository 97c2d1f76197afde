"""The connections to libvirtd: opened when needed, watched, opened again after a loss.

Each thread has a connection of its own, and one more is for events. Calls that share a
connection would be served, too, but when libvirtd hangs, libvirt's client (9.0, at
least) ends only one of them at the keepalive's time-out: the others wait for ever and
crash the process when libvirtd wakes up.
"""

import asyncio
import contextlib
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TypeVar

import libvirt
from lxml import etree

from proad.drivers.libvirt.errors import ENGINE, text_of, translate
from proad.drivers.libvirt.events import DomainEvent, start_event_loop, subscribe
from proad.drivers.libvirt.lanes import Lane, Lanes
from proad.drivers.libvirt.per_thread import (
    KEEPALIVE_COUNT,
    KEEPALIVE_INTERVAL,
    PerThread,
)
from proad.drivers.libvirt.questions import is_alive
from proad.drivers.libvirt.reading import lookup
from proad.drivers.libvirt.virt import is_test
from proad.drivers.own_events import OwnEvents
from proad.drivers.threads import DEFAULT_TIMEOUT, hand_over
from proad.errors import EngineConflictError, EngineUnreachableError

T = TypeVar("T")

OPEN_TIMEOUT = timedelta(seconds=3)
CLOSE_TIMEOUT = timedelta(seconds=2)
# For what writes memory or disks. A dead engine is noticed by keepalive well before.
LONG_TIMEOUT = timedelta(minutes=30)


@dataclass(slots=True, eq=False)
class _Link:
    """The connection for events; as long as it lives, libvirtd is taken to be there.

    Attributes:
        events: the connection.
        shared: whether the threads use it too: the test hypervisor lives inside of a
            connection, and another one could be another world.
        lost: whether it is lost.
        callbacks: libvirt's numbers of the registered callbacks.
    """

    events: libvirt.virConnect
    shared: bool
    lost: bool = False
    callbacks: list[int] = field(default_factory=list)

    def dispose(self) -> None:
        """Close; may block for as long as a hung libvirtd takes to be noticed."""
        for number in self.callbacks:
            # A dead connection refuses, and has forgotten the callback anyway.
            with contextlib.suppress(libvirt.libvirtError):
                self.events.domainEventDeregisterAny(number)
        with contextlib.suppress(libvirt.libvirtError):
            self.events.unregisterCloseCallback()
        with contextlib.suppress(libvirt.libvirtError):
            self.events.close()


class Connection:
    """Runs calls to libvirt on the driver's threads, over connections that heal.

    Args:
        uri: libvirt's connection URI.
        threads: number of threads for ordinary calls.
        on_event: called on the asyncio loop for each event of a domain.
        on_loss: called on the asyncio loop when events may have been missed.
        own_events: takes events of our own acts, of which `on_event` is not told.
    """

    def __init__(
        self,
        uri: str,
        *,
        threads: int,
        on_event: Callable[[DomainEvent], None],
        on_loss: Callable[[], None],
        own_events: OwnEvents | None = None,
    ) -> None:
        self.uri = uri
        self._lanes = Lanes(threads)
        self._per_thread = PerThread(uri)
        self._on_event = on_event
        self._on_loss = on_loss
        self._own_events = own_events or OwnEvents()
        self._link: _Link | None = None
        self._opening: asyncio.Future[_Link] | None = None
        self._closed = True
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start(self) -> None:
        """Start the threads; nothing is opened yet."""
        start_event_loop()
        self._loop = asyncio.get_running_loop()
        self._lanes.start()
        self._closed = False

    async def close(self) -> None:
        """Let go of libvirtd, waiting a moment for a farewell in good order."""
        self._closed = True
        self._lanes.end()
        link, self._link = self._link, None
        if link is not None:
            self._end_calls(link)
            done = asyncio.get_running_loop().create_future()
            self._spawn("close", link.dispose, lambda _: done.cancel())
            await asyncio.wait([done], timeout=CLOSE_TIMEOUT.total_seconds())

    async def open(self) -> None:
        """Make sure of the connection for events; from now on its loss is told.

        Raises:
            EngineUnreachableError: libvirtd is not there.
        """
        await self._connected()

    async def call(
        self,
        work: Callable[[libvirt.virConnect], T],
        *,
        id: str = "",
        timeout: timedelta = DEFAULT_TIMEOUT,  # noqa: ASYNC109 - raises our own error
        lane: Lane = Lane.WORK,
    ) -> T:
        """Run `work` on a thread and give its result; connect first where needed.

        Args:
            work: what to do; no object of libvirt may be in its result.
            id: the domain that it is about, for its turn and for errors.
            timeout: how long it may take, waiting for a thread included.
            lane: which thread it takes.

        Raises:
            EngineUnreachableError: libvirtd is not there, or was lost on the way.
            EngineTimedOutError: no result within `timeout`.
            ProaError: what libvirt said, translated.
        """
        link = await self._connected()
        if link.lost:
            raise _lost_on_the_way()
        job = partial(self._run, link, work, id)
        try:
            return await self._lanes.run(job, lane=lane, id=id, timeout=timeout)
        except EngineUnreachableError:
            self._lose(link)
            raise

    async def on(
        self,
        id: str,
        act: Callable[[libvirt.virDomain], T],
        *,
        timeout: timedelta = DEFAULT_TIMEOUT,  # noqa: ASYNC109 - raises our own error
        lane: Lane = Lane.WORK,
        kept: bool = False,
    ) -> T:
        """Run `act` on a domain; `call` says more.

        Args:
            id: the domain.
            act: what to do with it.
            timeout: see `call`.
            lane: see `call`.
            kept: whether a domain that was looked up before will do, which may have been
                renamed since.

        Raises:
            ResourceNotFoundError: there is no such domain.
        """
        find = self._per_thread.domain if kept else lookup
        return await self.call(
            lambda connection: act(find(connection, id)), id=id, timeout=timeout, lane=lane
        )

    def kept(self, connection: libvirt.virConnect, id: str) -> libvirt.virDomain:
        """Give a domain that this thread may have looked up before; for within `call`.

        Raises:
            ResourceNotFoundError: there is no such domain.
        """
        return self._per_thread.domain(connection, id)

    async def _connected(self) -> _Link:
        if self._link is not None:
            return self._link
        if self._opening is None:
            self._opening = asyncio.get_running_loop().create_future()
            # Whoever waited may have gone: the error is then nobody's.
            self._opening.add_done_callback(lambda f: f.cancelled() or f.exception())
            self._spawn("open", self._open, self._opened)
        try:
            async with asyncio.timeout(OPEN_TIMEOUT.total_seconds()):
                return await asyncio.shield(self._opening)
        except TimeoutError:
            # The attempt goes on by itself: there is never more than one.
            raise EngineUnreachableError(ENGINE, f"{self.uri} does not answer") from None

    def _spawn(
        self, label: str, work: Callable[[], T], deliver: Callable[["T | BaseException"], object]
    ) -> None:
        """Run `work` on a thread of its own and its outcome through `deliver` on the loop."""

        def run() -> None:
            outcome: T | BaseException
            try:
                outcome = work()
            except BaseException as error:  # noqa: BLE001 - handed to whoever awaits
                outcome = error
            self._hand_over(deliver, outcome)

        threading.Thread(target=run, name=f"{ENGINE}-{label}", daemon=True).start()

    def _hand_over(self, call: Callable[..., object], *args: object) -> None:
        if self._loop is not None:
            hand_over(self._loop, call, *args)

    def _heard(self, event: DomainEvent) -> None:
        tell = partial(self._hand_over, self._on_event, event)
        if not self._own_events.takes(event.id, event.action, tell):
            tell()

    def _open(self) -> _Link:
        connection = libvirt.open(self.uri)
        link = _Link(connection, shared=is_test(connection))
        try:
            if not link.shared:
                connection.setKeepAlive(KEEPALIVE_INTERVAL, KEEPALIVE_COUNT)
            connection.registerCloseCallback(
                lambda _connection, _reason, _opaque: self._hand_over(self._lose, link), None
            )
            link.callbacks = subscribe(connection, self._heard)
        except BaseException:
            link.dispose()
            raise
        return link

    def _opened(self, outcome: "_Link | BaseException") -> None:
        opening, self._opening = self._opening, None
        if isinstance(outcome, _Link):
            if self._closed:
                self._spawn("close", outcome.dispose, lambda _: None)
            else:
                self._link = outcome
                self._on_loss()
        if opening is None or opening.done():
            return
        if isinstance(outcome, _Link):
            opening.set_result(outcome)
        elif isinstance(outcome, libvirt.libvirtError):
            opening.set_exception(EngineUnreachableError(ENGINE, text_of(outcome)))
        else:
            opening.set_exception(outcome)

    def _lose(self, link: _Link) -> None:
        if self._link is not link:
            return
        self._link = None
        self._end_calls(link)
        self._on_loss()
        self._spawn("close", link.dispose, lambda _: None)

    def _end_calls(self, link: _Link) -> None:
        link.lost = True
        self._lanes.fail(_lost_on_the_way)

    def _run(self, link: _Link, work: Callable[[libvirt.virConnect], T], id: str) -> T:
        if link.lost:  # its turn came in the moment of the loss
            raise _lost_on_the_way()
        connection = link.events if link.shared else self._per_thread.connection(link)
        failure: BaseException
        try:
            return work(connection)
        except libvirt.libvirtError as error:
            failure = translate(error, alive=is_alive(connection), id=id)
            self._per_thread.forget(id)
        except (UnicodeError, SystemError) as error:
            failure = EngineConflictError(ENGINE, f"what libvirt says is no UTF-8 ({error})")
        except etree.XMLSyntaxError as error:
            failure = EngineConflictError(ENGINE, f"what libvirt says is no XML ({error})")
        except BaseException as error:  # noqa: BLE001 - raised again below
            failure = error
        _let_go(failure)
        try:
            raise failure
        finally:
            del failure, connection, work


def _lost_on_the_way() -> EngineUnreachableError:
    return EngineUnreachableError(ENGINE, "the connection was lost on the way")


def _let_go(failure: BaseException) -> None:
    """Free what an error's frames hold of libvirt's objects, here and now.

    Left to the garbage collector, they would be freed in the middle of another call
    on any thread, and libvirt then forgets what was wrong with that one.
    """
    chain: BaseException | None = failure
    while chain is not None:
        traceback.clear_frames(chain.__traceback__)
        chain = chain.__context__
