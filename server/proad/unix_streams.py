"""Streams of Unix sockets whose peers are hostile.

Such a peer may send file descriptors. The kernel closes those that nobody takes, on the thread that
reads, or that closes the socket; and that can take as long as the peer has chosen, as for a TCP
connection with SO_LINGER. So the event loop looks at what is there before it takes it, takes nothing
that has descriptors with it, and closes no socket in which something is left.
"""

import asyncio
import ctypes
import os
import resource
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

# Of asm-generic/socket.h, since Linux 6.16; the module socket has no name for it.
_SO_PASSRIGHTS = 83
_CLONE_FILES = 0x400
_RETRY = 1.0  # seconds
# Two threads at a time would have each other's descriptors, and the close of one of those, which the thread
# does not end with, could be the last.
_ALONE = threading.Lock()


class DescriptorsError(Exception):
    """A peer has sent file descriptors."""


def prepare(carrier: socket.socket) -> None:
    """Prepare a stream before anything is read from it."""
    # Otherwise the kernel drops out-of-band bytes, with their descriptors, and shows them to no look.
    carrier.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)


def refuse_descriptors(listening: socket.socket) -> None:
    """Let nobody send descriptors to the streams of a socket that listens, where the kernel can."""
    with suppress(OSError):
        listening.setsockopt(socket.SOL_SOCKET, _SO_PASSRIGHTS, 0)


def refuse_descriptors_at(path: str) -> None:
    """Let nobody send descriptors to the streams of the socket of this process that listens at a path."""
    for each in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # it is none of a socket
            found = socket.socket(fileno=int(each.name))
            try:
                if found.family == socket.AF_UNIX and found.getsockname() == path:
                    refuse_descriptors(found)
            finally:
                found.detach()  # it is gRPC's


def receive(carrier: socket.socket, most: int) -> bytes:
    """Return what has come, which is nothing at the end.

    Raises:
        DescriptorsError: some came with it; nothing has been taken.
        BlockingIOError: nothing has come yet.
        OSError: the stream broke.
    """
    data, _, flags, _ = carrier.recvmsg(most, 0, socket.MSG_PEEK)
    if flags & socket.MSG_CTRUNC:
        raise DescriptorsError
    return carrier.recv(len(data)) if data else b""


async def readable(carrier: socket.socket) -> None:
    """Wait until a socket may be read."""
    loop = asyncio.get_running_loop()
    await _ready(carrier, loop.add_reader, loop.remove_reader)


async def writable(carrier: socket.socket) -> None:
    """Wait until a socket may be written."""
    loop = asyncio.get_running_loop()
    await _ready(carrier, loop.add_writer, loop.remove_writer)


async def _ready(
    carrier: socket.socket, add: Callable[..., object], remove: Callable[[int], object]
) -> None:
    is_ready = asyncio.Event()
    add(carrier.fileno(), is_ready.set)
    try:
        await is_ready.wait()
    finally:
        remove(carrier.fileno())


def is_empty_after_end(carrier: socket.socket) -> bool:
    """End a stream both ways; return whether nothing is left in it, so that it may be closed."""
    with suppress(OSError):  # the peer has gone
        carrier.shutdown(socket.SHUT_RDWR)  # nothing more comes
    try:
        return not carrier.recv(1, socket.MSG_PEEK)
    except OSError:
        return False


def hang_up(carrier: socket.socket) -> None:
    """End a stream, and close it without a wait for what is left in it."""
    if is_empty_after_end(carrier):
        carrier.close()
    else:
        _close_with_thread(asyncio.get_running_loop(), carrier.detach())


def _close_with_thread(loop: asyncio.AbstractEventLoop, descriptor: int) -> None:
    """Have the end of a thread be the last close of a descriptor: no close lingers there."""
    is_closed = threading.Event()

    def close() -> None:
        os.close(descriptor)
        is_closed.set()

    def hold() -> None:
        with _ALONE:
            # The thread has a table of descriptors of its own then. Python has the call from 3.12 on.
            if ctypes.CDLL(None).unshare(_CLONE_FILES) == 0:
                os.closerange(0, descriptor)
                os.closerange(descriptor + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
                with suppress(RuntimeError):  # the loop is closed, and the process ends
                    loop.call_soon_threadsafe(close)
                    while not is_closed.wait(_RETRY) and not loop.is_closed():
                        pass
                return
        os.close(descriptor)

    try:
        threading.Thread(target=hold, name="unix-close", daemon=True).start()
    except RuntimeError:  # there is no thread left
        loop.call_later(_RETRY, _close_with_thread, loop, descriptor)
