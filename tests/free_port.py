"""Ports for what have to be told their ports before they listen, or listen there again."""

import secrets
import socket
from contextlib import ExitStack, suppress


def free_port() -> int:
    """Return a free port below the kernel's ephemeral ports.

    One of those could be somebody else's before it is used: another test's, or that of a
    connection under way, even of one that calls for the very server that was there.
    """
    return free_ports(1)[0]


def free_ports(count: int) -> range:
    """Return consecutive free ports, as `free_port` returns one."""
    while True:
        first = 10_000 + secrets.randbelow(20_000)
        ports = range(first, first + count)
        with ExitStack() as probes, suppress(OSError):
            for port in ports:
                probes.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return ports
