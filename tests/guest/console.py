"""The output of a guest on its serial console.

QEMU's terminal is open to root, who reads it without libvirt's help; others have libvirt
pass it on.
"""

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import libvirt
from lxml import etree

Read = Callable[[], Awaitable[bytes]]


async def hear(
    domain: libvirt.virDomain, what: bytes, *, within: float, command: str = ""
) -> re.Match[bytes]:
    """Type a command, if there is one, and wait until the guest says something from now on.

    Args:
        domain: the guest, which runs.
        what: a pattern.
        within: seconds to wait at most.
        command: a line for the guest's shell.
    """
    tty = etree.fromstring(domain.XMLDesc()).find("devices/console").get("tty", "")
    typed = f"{command}\n".encode() if command else b""
    said = b""
    opened = _terminal(tty, typed) if os.access(tty, os.R_OK | os.W_OK) else _stream(domain, typed)
    with opened as read:
        async with asyncio.timeout(within):
            while not (found := re.search(what, said)):
                said += await read()
            return found


@contextmanager
def _terminal(path: str, typed: bytes) -> Iterator[Read]:
    access = os.O_RDWR if typed else os.O_RDONLY
    tty = os.open(path, access | os.O_NOCTTY | os.O_NONBLOCK)

    async def read() -> bytes:
        while True:
            try:
                return os.read(tty, 4096)
            except BlockingIOError:
                await asyncio.sleep(0.02)

    try:
        if typed:
            os.write(tty, typed)
        yield read
    finally:
        os.close(tty)


@contextmanager
def _stream(domain: libvirt.virDomain, typed: bytes) -> Iterator[Read]:
    stream = domain.connect().newStream()
    domain.openConsole(None, stream, libvirt.VIR_DOMAIN_CONSOLE_FORCE)

    async def read() -> bytes:
        more = await asyncio.to_thread(stream.recv, 4096)
        assert more, "the console has ended"
        return more

    try:
        if typed:
            stream.send(typed)
        yield read
    finally:
        stream.abort()
