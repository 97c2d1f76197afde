"""Sockets that end a process when nobody has them any more."""

import asyncio
import socket
from typing import Any

import pytest
import uvloop

from proad.drivers.docker.http.byte_stream import ByteStream
from proad.drivers.docker.http.ssh import Ssh, SshSocket

Pair = tuple[SshSocket, socket.socket, list[str]]


@pytest.fixture
def pair() -> Any:
    ours, theirs = socket.socketpair()
    closed: list[str] = []
    with theirs, SshSocket.of(ours, lambda: closed.append("closed")) as carrier:
        yield carrier, theirs, closed


def test_socket_is_closed_once_with_its_last_file(pair: Pair):
    carrier, _, closed = pair
    file = carrier.makefile("rb")
    carrier.close()
    assert not closed
    file.close()
    assert closed == ["closed"]
    carrier.close()
    assert closed == ["closed"]


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_duplicate_on_the_event_loop_takes_the_process_along(pair: Pair, run: Any):
    carrier, theirs, closed = pair
    carrier.setblocking(False)
    other = carrier.dup()
    carrier.close()
    assert not closed

    async def talk() -> None:
        stream = await ByteStream.of(other, b"")
        await stream.write(b"ping")
        stream.write_eof()
        theirs.setblocking(False)
        loop = asyncio.get_running_loop()
        assert await loop.sock_recv(theirs, 10) == b"ping"
        assert await loop.sock_recv(theirs, 10) == b""
        theirs.sendall(b"pong")
        assert await stream.read() == b"pong"
        assert not closed
        stream.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    run(talk())
    assert closed == ["closed"]


def test_socket_that_nobody_took_is_closed(pair: Pair):
    carrier, _, closed = pair
    other = carrier.dup()
    del other
    assert closed == ["closed"]


@pytest.mark.parametrize(
    ("url", "arguments"),
    [
        ("ssh://host", ["--", "host"]),
        ("ssh://me:secret@host:23", ["-l", "me", "-p", "23", "--", "host"]),
        ("ssh://a%40b@[::1]", ["-l", "a@b", "--", "::1"]),
        ("ssh://-oProxyCommand=x", ["--", "-oproxycommand=x"]),
    ],
)
def test_command_has_what_the_address_has(url: str, arguments: list[str]):
    command = Ssh(url).command
    assert command[-1 - len(arguments) : -1] == arguments
    assert not [word for word in command if "secret" in word]
