"""A serial console, as libvirt carries it: what libvirt's own thread and ours do with it.

libvirt sends the output of a domain as fast as that comes and holds what nobody takes, without a
bound. Therefore its thread takes all of it at once, and only a bounded part is kept. Input is sent by
threads of ours, since to send waits until libvirtd takes it. Each console has a connection of its own:
libvirtd stops reading from one whose console takes no input. It does not notice then that the connection
was closed, and crashes (9.0) when somebody takes the console by force: so input that nobody takes is
dropped by libvirtd itself, before the connection is closed.
"""

import asyncio
import contextlib
import threading
import weakref
from collections.abc import Callable

import libvirt
import structlog

from proad.drivers.libvirt.errors import code_of, text_of
from proad.drivers.threads import call_soon_threadsafe
from proad.model import PIECE

_MOST_HELD = 2**20
# Pieces that are taken at a time: others wait for libvirt's thread, too.
_AT_ONCE = 16
_EVENTS = (
    libvirt.VIR_STREAM_EVENT_READABLE
    | libvirt.VIR_STREAM_EVENT_ERROR
    | libvirt.VIR_STREAM_EVENT_HANGUP
)

_log = structlog.get_logger(__name__)


class SerialLine:
    """The serial console of one domain.

    Made on the event loop; `open`, `send`, `close` and `drop_input` are for threads and may block.

    Attributes:
        runtime_id: libvirt's number of the run of the domain.
        lost: whether its connection was lost.
        overflowed: whether more came than is held.
    """

    def __init__(self) -> None:
        self.runtime_id = -1
        self.lost = False
        self.overflowed = False
        self._loop = asyncio.get_running_loop()
        self._came = asyncio.Event()
        self._lock = threading.Lock()
        # libvirt's client (9.0) crashes when its connection is lost under two calls at once.
        self._calling = threading.Lock()
        self._held = bytearray()
        self._opened = False
        self._closed = False
        self._ended = False
        self._id = ""
        self._connection: libvirt.virConnect | None = None
        self._stream: libvirt.virStream | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes."""
        return self._closed or self._ended

    @property
    def is_held(self) -> bool:
        """Whether libvirtd has the console for us, as far as is known."""
        return self._opened and not self._ended

    def open(self, connect: Callable[[], libvirt.virConnect], id: str, *, force: bool) -> bool:
        """Open the console; return whether it was free.

        Raises:
            libvirt.libvirtError: for another reason than that somebody has it.
        """
        connection = connect()
        domain = connection.lookupByUUIDString(id)
        stream = connection.newStream(libvirt.VIR_STREAM_NONBLOCK)
        try:
            domain.openConsole(None, stream, libvirt.VIR_DOMAIN_CONSOLE_FORCE if force else 0)
        except libvirt.libvirtError as error:
            if code_of(error) != libvirt.VIR_ERR_OPERATION_FAILED:
                raise
            return False
        self._id, self.runtime_id = id, int(domain.ID())
        connection.registerCloseCallback(self._on_loss, None)
        stream.eventAddCallback(_EVENTS, _on_event, weakref.WeakMethod(self._on_event))
        self._connection, self._stream, self._opened = connection, stream, True
        if self._closed:  # its caller did not wait for it
            self.close()
        return True

    def send(self, data: bytes) -> None:
        """Send input; wait while libvirtd does not take it.

        Raises:
            libvirt.libvirtError: it cannot be sent any more.
        """
        with self._calling:
            while data and self._stream is not None and not self.is_over:
                data = data[max(self._stream.send(data), 0) :]

    def close(self) -> None:
        """Close the console, once no input is being sent any more."""
        self._closed = True
        self._tell()
        with self._calling:
            connection, self._connection = self._connection, None
            stream, self._stream = self._stream, None
            if stream is not None:
                with contextlib.suppress(libvirt.libvirtError):
                    stream.eventRemoveCallback()
                if not self.lost:
                    with contextlib.suppress(libvirt.libvirtError):
                        stream.abort()
                _release(stream)
            if connection is not None:
                with contextlib.suppress(libvirt.libvirtError):
                    connection.unregisterCloseCallback()
                with contextlib.suppress(libvirt.libvirtError):
                    connection.close()
            self._opened = False

    def drop_input(self, connect: Callable[[], libvirt.virConnect]) -> None:
        """Have libvirtd drop input for which `send` or `close` waits, and with it the console.

        Takes the console by force over a connection that libvirtd goes on reading, and closes that.

        Raises:
            libvirt.libvirtError: it cannot be taken, as when the domain runs no more.
        """
        connection = connect()
        try:
            stream = connection.newStream(libvirt.VIR_STREAM_NONBLOCK)
            domain = connection.lookupByUUIDString(self._id)
            # The console of its next run is somebody else's.
            if self.is_held and domain.ID() == self.runtime_id:
                domain.openConsole(None, stream, libvirt.VIR_DOMAIN_CONSOLE_FORCE)
        finally:
            connection.close()

    def lose(self) -> None:
        """Note that libvirtd has gone, or answers no more."""
        self.lost = True
        self._end()

    async def read(self) -> bytes:
        """Return what has come, of a piece at most; nothing at the end. For the event loop."""
        while True:
            self._came.clear()
            with self._lock:
                if data := bytes(self._held[:PIECE]):
                    del self._held[: len(data)]
                    return data
            if self.is_over or self.overflowed:
                return b""
            await self._came.wait()

    def _on_event(self, stream: libvirt.virStream, events: int) -> None:
        """Take what has come; on libvirt's thread. Nothing here waits for libvirtd."""
        try:
            for _ in range(_AT_ONCE):
                data = stream.recv(PIECE)
                if not isinstance(data, bytes):
                    break  # nothing more has come yet
                if not data:
                    self._end_of(stream)
                    return
                self._take(data)
        except libvirt.libvirtError as error:
            _log.debug("a console has ended", error=text_of(error))
            self._end_of(stream)
            return
        if events & ~libvirt.VIR_STREAM_EVENT_READABLE:
            self._end_of(stream)

    def _on_loss(self, _connection: libvirt.virConnect, _reason: int, _opaque: object) -> None:
        self.lose()  # on libvirt's thread

    def _take(self, data: bytes) -> None:
        with self._lock:
            self.overflowed = self.overflowed or len(self._held) + len(data) > _MOST_HELD
            if self.overflowed:
                return
            tell = not self._held
            self._held += data
        if tell:
            call_soon_threadsafe(self._loop, self._came.set)

    def _end_of(self, stream: libvirt.virStream) -> None:
        with contextlib.suppress(libvirt.libvirtError):
            stream.eventRemoveCallback()
        self._end()

    def _end(self) -> None:
        self._ended = True
        self._tell()

    def _tell(self) -> None:
        call_soon_threadsafe(self._loop, self._came.set)


def _on_event(
    stream: libvirt.virStream, events: int, method: weakref.WeakMethod[Callable[..., None]]
) -> None:
    if on_event := method():
        on_event(stream, events)


def _release(stream: libvirt.virStream) -> None:
    """Release a stream, and by it its connection.

    libvirt never calls what frees the arguments of a stream's callback (12.8), and the stream is one of
    them: Python would keep it.
    """
    del stream.cb
    stream.__del__()
