"""Connections to libvirtd: opened on demand, watched, and opened again after a loss.

Each thread has a connection of its own, and events have one more. Calls could share a
connection, but when libvirtd hangs, libvirt's client (9.0, at least) ends only one of the
calls at the keepalive timeout: the others wait for ever and crash the process when libvirtd
wakes up.
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

from proad.drivers.libvirt.connections.bulkheads import Bulkhead, Bulkheads
from proad.drivers.libvirt.connections.queries import is_alive, lookup
from proad.drivers.libvirt.connections.thread_connection import ThreadConnection, keep_alive
from proad.drivers.libvirt.errors import ENGINE, text_of, translate
from proad.drivers.libvirt.events import DomainEvent, start_event_loop, subscribe
from proad.drivers.libvirt.host.virt import is_test
from proad.drivers.libvirt.timing import SessionTiming
from proad.drivers.threads import call_soon_threadsafe
from proad.errors import EngineConflictError, EngineUnreachableError

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Session:
    """A session with libvirtd, which lasts as long as its connection for events.

    Attributes:
        events: the connection for events.
        shared: whether the threads use that connection too; a test hypervisor exists inside of
            one connection.
        lost: whether the session is over.
        callbacks: libvirt's numbers of the registered callbacks.
    """

    events: libvirt.virConnect
    shared: bool
    lost: bool = False
    callbacks: list[int] = field(default_factory=list)

    def dispose(self) -> None:
        """Close the connection; may block until a hung libvirtd is noticed."""
        for number in self.callbacks:
            # A dead connection refuses; its callbacks are gone anyway.
            with contextlib.suppress(libvirt.libvirtError):
                self.events.domainEventDeregisterAny(number)
        with contextlib.suppress(libvirt.libvirtError):
            self.events.unregisterCloseCallback()
        with contextlib.suppress(libvirt.libvirtError):
            self.events.close()


class Connection:
    """Runs calls to libvirt on the driver's threads, over connections that are reopened.

    Args:
        uri: libvirt's connection URI.
        threads: number of threads for ordinary calls.
        on_event: called on the asyncio loop for each event of a domain.
        on_loss: called on the asyncio loop when events may have been lost.
        timing: limits of connections and calls.
    """

    def __init__(
        self,
        uri: str,
        *,
        threads: int,
        on_event: Callable[[DomainEvent], None],
        on_loss: Callable[[], None],
        timing: SessionTiming = SessionTiming(),
    ) -> None:
        self.uri = uri
        self.timing = timing
        self._bulkheads = Bulkheads(threads)
        self._thread_connection = ThreadConnection(uri, timing.keepalive_interval)
        self._on_event = on_event
        self._on_loss = on_loss
        self._session: _Session | None = None
        self._opening: asyncio.Future[_Session] | None = None
        self._closed = True
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start(self) -> None:
        """Start the threads; nothing is opened yet."""
        start_event_loop()
        self._loop = asyncio.get_running_loop()
        self._bulkheads.start()
        self._closed = False

    async def close(self) -> None:
        """Close the connections; wait a moment for a clean close."""
        self._closed = True
        self._bulkheads.end()
        session, self._session = self._session, None
        if session is not None:
            self._end_calls(session)
            done = asyncio.get_running_loop().create_future()
            self._spawn("close", session.dispose, lambda _: done.cancel())
            await asyncio.wait([done], timeout=self.timing.close_timeout.total_seconds())

    async def open(self) -> None:
        """Open a session unless there is one; from now on `on_loss` reports its loss.

        Raises:
            EngineUnreachableError: libvirtd cannot be reached.
        """
        await self._connected()

    async def call(
        self,
        work: Callable[[libvirt.virConnect], T],
        *,
        id: str = "",
        timeout: timedelta | None = None,  # noqa: ASYNC109 - raises our own error
        bulkhead: Bulkhead = Bulkhead.WORK,
    ) -> T:
        """Run `work` on a thread and return its result; connect first if necessary.

        Args:
            work: the call; its result must not contain objects of libvirt.
            id: the domain that the call is about, for the limit and for errors.
            timeout: limit of the call, which includes the wait for a thread; None: the usual.
            bulkhead: the threads to use.

        Raises:
            EngineUnreachableError: libvirtd cannot be reached, or was lost during the call.
            EngineTimedOutError: no result within `timeout`.
            ProaError: libvirt's error, translated.
        """
        session = await self._connected()
        if session.lost:
            raise _session_lost()
        job = partial(self._run, session, work, id)
        try:
            timeout = timeout or self.timing.call_timeout
            return await self._bulkheads.run(job, bulkhead=bulkhead, id=id, timeout=timeout)
        except EngineUnreachableError:
            self._lose(session)
            raise

    async def on(
        self,
        id: str,
        act: Callable[[libvirt.virDomain], T],
        *,
        timeout: timedelta | None = None,  # noqa: ASYNC109 - raises our own error
        bulkhead: Bulkhead = Bulkhead.WORK,
        cached: bool = False,
    ) -> T:
        """Run `act` on a domain; see `call`.

        Args:
            id: the domain.
            act: the call.
            timeout: see `call`.
            bulkhead: see `call`.
            cached: whether a cached domain will do, which may have been renamed since.

        Raises:
            ResourceNotFoundError: no domain has this id.
        """
        find = self._thread_connection.domain if cached else lookup
        return await self.call(
            lambda connection: act(find(connection, id)), id=id, timeout=timeout, bulkhead=bulkhead
        )

    def dedicated(self, keepalive_interval: timedelta) -> libvirt.virConnect:
        """Return a new connection for one purpose, which its owner closes. Blocks.

        Args:
            keepalive_interval: time between keepalive messages, in whole seconds.

        Raises:
            libvirt.libvirtError: libvirtd cannot be reached.
        """
        connection = libvirt.open(self.uri)
        keep_alive(connection, keepalive_interval)
        return connection

    async def dispose(self, end: Callable[[], None]) -> None:
        """Run what ends something of libvirt's on a thread, also while there is no session.

        Raises:
            EngineTimedOutError: it has not ended in time, and goes on.
            EngineUnreachableError: the session was lost meanwhile, and it goes on.
        """
        await self._bulkheads.run(
            end, bulkhead=Bulkhead.CLOSE, id="", timeout=self.timing.call_timeout
        )

    def cached_domain(self, connection: libvirt.virConnect, id: str) -> libvirt.virDomain:
        """Return a domain from this thread's cache, or look it up; for use within `call`.

        Raises:
            ResourceNotFoundError: no domain has this id.
        """
        return self._thread_connection.domain(connection, id)

    async def _connected(self) -> _Session:
        if self._session is not None:
            return self._session
        if self._opening is None:
            self._opening = asyncio.get_running_loop().create_future()
            # All waiters may have gone by then: retrieve the error.
            self._opening.add_done_callback(lambda f: f.cancelled() or f.exception())
            self._spawn("open", self._open, self._opened)
        try:
            async with asyncio.timeout(self.timing.open_timeout.total_seconds()):
                return await asyncio.shield(self._opening)
        except TimeoutError:
            # The attempt goes on: there is never more than one.
            raise EngineUnreachableError(ENGINE, f"{self.uri} does not answer") from None

    def _spawn(
        self, label: str, work: Callable[[], T], deliver: Callable[["T | BaseException"], object]
    ) -> None:
        """Run `work` on a thread of its own; call `deliver` with its outcome on the loop."""

        def run() -> None:
            outcome: T | BaseException
            try:
                outcome = work()
            except BaseException as error:  # noqa: BLE001 - raised where the outcome is awaited
                outcome = error
            self._call_soon(deliver, outcome)

        threading.Thread(target=run, name=f"{ENGINE}-{label}", daemon=True).start()

    def _call_soon(self, call: Callable[..., object], *args: object) -> None:
        if self._loop is not None:
            call_soon_threadsafe(self._loop, call, *args)

    def _open(self) -> _Session:
        connection = libvirt.open(self.uri)
        session = _Session(connection, shared=is_test(connection))
        try:
            if not session.shared:
                keep_alive(connection, self.timing.keepalive_interval)
            connection.registerCloseCallback(
                lambda _connection, _reason, _opaque: self._call_soon(self._lose, session), None
            )
            session.callbacks = subscribe(connection, partial(self._call_soon, self._on_event))
        except BaseException:
            session.dispose()
            raise
        return session

    def _opened(self, outcome: "_Session | BaseException") -> None:
        opening, self._opening = self._opening, None
        if isinstance(outcome, _Session):
            if self._closed:
                self._spawn("close", outcome.dispose, lambda _: None)
            else:
                self._session = outcome
                self._on_loss()
        if opening is None or opening.done():
            return
        if isinstance(outcome, _Session):
            opening.set_result(outcome)
        elif isinstance(outcome, libvirt.libvirtError):
            opening.set_exception(EngineUnreachableError(ENGINE, text_of(outcome)))
        else:
            opening.set_exception(outcome)

    def _lose(self, session: _Session) -> None:
        if self._session is not session:
            return
        self._session = None
        self._end_calls(session)
        self._on_loss()
        self._spawn("close", session.dispose, lambda _: None)

    def _end_calls(self, session: _Session) -> None:
        session.lost = True
        self._bulkheads.fail(_session_lost)

    def _run(self, session: _Session, work: Callable[[libvirt.virConnect], T], id: str) -> T:
        if session.lost:  # lost between the check and the thread
            raise _session_lost()
        connection = (
            session.events if session.shared else self._thread_connection.connection(session)
        )
        failure: BaseException
        try:
            return work(connection)
        except libvirt.libvirtError as error:
            failure = translate(error, alive=is_alive(connection), id=id)
            self._thread_connection.forget(id)
        except (UnicodeError, SystemError) as error:
            failure = EngineConflictError(ENGINE, f"what libvirt says is no UTF-8 ({error})")
        except etree.XMLSyntaxError as error:
            failure = EngineConflictError(ENGINE, f"what libvirt says is no XML ({error})")
        except BaseException as error:  # noqa: BLE001 - raised again below
            failure = error
        _release_frames(failure)
        try:
            raise failure
        finally:
            del failure, connection, work


def _session_lost() -> EngineUnreachableError:
    return EngineUnreachableError(ENGINE, "the connection was lost on the way")


def _release_frames(failure: BaseException) -> None:
    """Release the objects of libvirt that an error's frames refer to.

    The garbage collector would release them in the middle of some other call, on any thread,
    and libvirt would then lose the error of that call.
    """
    chain: BaseException | None = failure
    while chain is not None:
        traceback.clear_frames(chain.__traceback__)
        chain = chain.__context__
