"""What a guest says on its serial console, as libvirt passes it on.

QEMU's terminal itself is open to QEMU's user and root alone.
"""

import asyncio
import re

import libvirt


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
    stream = domain.connect().newStream()
    domain.openConsole(None, stream, libvirt.VIR_DOMAIN_CONSOLE_FORCE)
    said = b""
    try:
        if command:
            await asyncio.to_thread(stream.send, f"{command}\n".encode())
        async with asyncio.timeout(within):
            while not (found := re.search(what, said)):
                more = await asyncio.to_thread(stream.recv, 4096)
                assert more, f"the console has ended: {said!r}"
                said += more
            return found
    finally:
        stream.abort()
