"""File descriptors whose last close takes as long as their sender has chosen."""

import array
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def connection_that_lingers(seconds: int) -> Iterator[int]:
    """Give the only descriptor of a connection whose close waits for a peer that does not read."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        carrier = socket.create_connection(server.getsockname())
        accepted, _ = server.accept()
        carrier.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, seconds))
        carrier.setblocking(False)
        try:
            while True:
                carrier.send(bytes(65536))
        except BlockingIOError:
            pass
        with accepted:
            yield carrier.detach()


def send(peer: socket.socket, descriptor: int, flags: int = 0) -> None:
    """Send a byte and a descriptor, and leave that one to the receiver.

    Raises:
        OSError: it was not sent, and is closed.
    """
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))
    try:
        peer.sendmsg([b"x"], [rights], flags)
    except OSError:
        with socket.socket(fileno=os.dup(descriptor)) as own:  # so that it does not linger here
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))
        raise
    finally:
        os.close(descriptor)
