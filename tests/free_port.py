"""A port for what has to be told its port before it listens, or listens there again."""

import secrets
import socket
from contextlib import suppress


def free_port() -> int:
    """Give a port below those that the kernel hands out by itself.

    One of those could be somebody else's before it is used: another test's, or that of a
    connection under way, even of one that calls for the very server that was there.
    """
    while True:
        port = 10_000 + secrets.randbelow(20_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
