"""The output of a command, as its reader gets it."""

import asyncio
import socket
import time
from datetime import timedelta

from eventually import eventually
from proad.drivers.docker.http.byte_stream import ByteStream
from proad.drivers.docker.http.engine_client import EngineClient
from proad.drivers.docker.running_command import ContainerCommand
from proad.drivers.docker.timing import CommandTiming
from proad.model import CommandStreams

MANY = 200_000
FRAMES = b"".join(bytes([1 + number % 2, 0, 0, 0, 0, 0, 0, 1, 0]) for number in range(MANY))
# Pieces that have come together take some 10 ms of it; all that is read ahead, ten times as much.
LONGEST_TURN = 0.06


async def test_output_of_many_small_pieces_leaves_turns_to_others():
    ours, engines = socket.socketpair()
    for end in (ours, engines):
        end.setblocking(False)
    stream = await ByteStream.of(ours, b"")
    engine = EngineClient("unix:///nowhere", cert_path=None, threads=1, timeout=timedelta(1))
    command = ContainerCommand(engine, "", "", CommandStreams(), CommandTiming())
    command.connect(stream)
    turns = []

    async def write() -> None:
        await asyncio.get_running_loop().sock_sendall(engines, FRAMES)
        engines.close()

    async def take_turns() -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(0)
            turns.append(time.thread_time() - before)

    others = [asyncio.ensure_future(write()), asyncio.ensure_future(take_turns())]
    try:
        await eventually(lambda: len(turns) > 1000)  # by then all buffers are full
        assert sum([len(output.data) async for output in command.output()]) == MANY
        assert max(turns) < LONGEST_TURN
    finally:
        for other in others:
            other.cancel()
        command.close()
