"""Streams of bytes on connections that were read from before."""

import asyncio
import socket

import pytest
import uvloop

from proad.drivers.docker.http.byte_stream import ByteStream


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_stream_begins_with_what_was_read_before(run):
    """Also where all the rest has come, and the end, before anybody reads."""

    async def read_all():
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.sendall(b"second")
        ours.setblocking(False)
        stream = await ByteStream.of(ours, b"first")
        pieces = [piece async for piece in pieces_of(stream)]
        stream.close()
        return b"".join(pieces)

    async def pieces_of(stream):
        while piece := await stream.read():
            yield piece

    for _ in range(20):
        assert run(read_all()) == b"firstsecond"
