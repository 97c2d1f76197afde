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
Write = Callable[[bytes], object]

_PROMPT = b"guest# "
# Seconds of silence after which the shell is asked for its prompt again, and after which a command
# is typed again: a busy guest may lose what is typed.
_SILENCE = 2.0
_SILENCE_OF_COMMAND = 15.0


async def hear(
    domain: libvirt.virDomain, what: bytes, *, within: float, command: str = ""
) -> re.Match[bytes]:
    """Type a command, if there is one, and wait until the guest prints something from now on.

    A line that is typed before the shell has opened the console is lost, so that the shell is
    made to print its prompt first.

    Args:
        domain: the guest, which runs.
        what: a pattern.
        within: seconds to wait at most.
        command: a line for the guest's shell, which may run twice.

    Raises:
        TimeoutError: the guest did not print it in time; with what it printed.
    """
    console = etree.fromstring(domain.XMLDesc()).find("devices/console")
    assert console is not None
    tty = console.get("tty", "")
    terminal = os.access(tty, os.R_OK | os.W_OK)
    with _terminal(tty) if terminal else _stream(domain) as (read, write):
        output = b""
        reading = asyncio.ensure_future(read())
        try:
            async with asyncio.timeout(within):
                while command and _PROMPT not in output:
                    write(b"\n")
                    if (await asyncio.wait({reading}, timeout=_SILENCE))[0]:
                        output += reading.result()
                        reading = asyncio.ensure_future(read())
                if command:
                    output = b""
                    write(f"{command}\n".encode())
                while not (found := re.search(what, output)):
                    if (await asyncio.wait({reading}, timeout=_SILENCE_OF_COMMAND))[0]:
                        output += reading.result()
                        reading = asyncio.ensure_future(read())
                    elif command:
                        write(f"{command}\n".encode())
                return found
        except TimeoutError as error:
            raise TimeoutError(f"not {what!r}, but {output!r}") from error
        finally:
            reading.cancel()


@contextmanager
def _terminal(path: str) -> Iterator[tuple[Read, Write]]:
    tty = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)

    async def read() -> bytes:
        while True:
            try:
                return os.read(tty, 4096)
            except BlockingIOError:
                await asyncio.sleep(0.02)

    try:
        yield read, lambda typed: os.write(tty, typed)
    finally:
        os.close(tty)


@contextmanager
def _stream(domain: libvirt.virDomain) -> Iterator[tuple[Read, Write]]:
    stream = domain.connect().newStream()
    domain.openConsole(None, stream, libvirt.VIR_DOMAIN_CONSOLE_FORCE)

    async def read() -> bytes:
        more: bytes = await asyncio.to_thread(stream.recv, 4096)
        assert more, "the console has ended"
        return more

    try:
        yield read, stream.send
    finally:
        stream.abort()
