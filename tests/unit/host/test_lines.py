"""The sockets that answer a line: who is too slow, too many or gone."""

import asyncio
import os
import socket
import threading
import time
from contextlib import asynccontextmanager, suppress

import pytest

from eventually import eventually
from lingering import connection_that_lingers, send
from proad.lines import LineLimits, Peer, answering
from proad.sockets import SocketAccess, bound

LINGERS = 20


@pytest.fixture
def path(tmp_path):
    return tmp_path / "s"


@pytest.fixture
def served(path):
    """Answer each line with itself, once it may."""

    @asynccontextmanager
    async def serve(answer=None, **limits):
        async def echo(line, _peer):
            return line.strip()

        with bound(path, SocketAccess()) as listening:
            async with answering(listening, answer or echo, LineLimits(**limits)):
                yield

    return serve


async def ask(path, sent=b"x\n"):
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(sent)
        return await reader.read()
    except ConnectionError:
        return b""  # hung up on before it was read
    finally:
        writer.close()


async def test_peer_is_whom_the_kernel_says(path, served):
    seen = []

    async def answer(_line, peer):
        seen.append(peer)
        return b""

    async with served(answer):
        assert await ask(path) == b"\n"

    assert seen == [Peer(os.geteuid(), frozenset({os.getegid(), *os.getgroups()}))]


@pytest.mark.parametrize("sent", [b"", b"half"])
async def test_caller_who_sends_no_line_in_time_is_hung_up_on(path, served, sent):
    async with served(line_timeout=0.05):
        assert await ask(path, sent) == b""


async def test_caller_who_does_not_read_is_hung_up_on(path, served):
    async def much(_line, _peer):
        return b"a" * 2 * 2**20  # more than a socket holds

    async with served(much, line_timeout=0.05, connections=1):
        with socket.socket(socket.AF_UNIX) as deaf:
            deaf.connect(str(path))
            deaf.sendall(b"x\n")
            await eventually(lambda: ask_in_full(path))  # once there is room again


async def ask_in_full(path):
    return (await ask(path)).endswith(b"a\n")


async def test_callers_beyond_the_limit_are_hung_up_on_and_those_after_are_not(path, served):
    gate, arrived = asyncio.Event(), asyncio.Semaphore(0)

    async def wait(line, _peer):
        arrived.release()
        await gate.wait()
        return line.strip()

    async with served(wait, connections=3, connections_of_user=2):
        held = [asyncio.create_task(ask(path)) for _ in range(2)]
        for _ in held:
            await arrived.acquire()
        assert await ask(path) == b""
        gate.set()
        assert await asyncio.gather(*held) == [b"x\n", b"x\n"]
        assert await ask(path) == b"x\n"


async def test_end_of_the_daemon_hangs_up_on_everybody(path, served):
    arrived = asyncio.Event()

    async def forever(_line, _peer):
        arrived.set()
        await asyncio.Event().wait()

    async with served(forever):
        held = asyncio.create_task(ask(path))
        await arrived.wait()

    assert await held == b""
    assert not path.exists()


@pytest.mark.parametrize("flags", [0, socket.MSG_OOB], ids=["in-band", "out-of-band"])
@pytest.mark.parametrize("sent", [b"", b"x\n"], ids=["before the line", "after it"])
async def test_descriptors_whose_close_takes_long_hold_up_nobody(path, sent, flags):
    async def echo(line, _peer):
        return line.strip()

    with socket.socket(socket.AF_UNIX) as listening:  # one that takes descriptors, as old kernels
        listening.bind(str(path))
        async with answering(listening, echo, LineLimits()):
            with (
                connection_that_lingers(LINGERS) as descriptor,
                socket.socket(socket.AF_UNIX) as hostile,
            ):
                begun = time.monotonic()
                hostile.connect(str(path))
                hostile.sendall(sent)
                send(hostile, descriptor, flags)
                hostile.setblocking(False)
                with suppress(ConnectionResetError):
                    while await asyncio.get_running_loop().sock_recv(hostile, 100):
                        pass
                assert await ask(path) == b"x\n"
                await eventually(lambda: "unix-close" not in threads())
    assert time.monotonic() - begun < LINGERS / 2


def threads():
    return {each.name for each in threading.enumerate()}
