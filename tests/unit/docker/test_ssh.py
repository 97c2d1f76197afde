"""Sockets that end a process when nobody has them any more."""

import asyncio
import os
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
import uvloop

from proad.drivers.docker import DockerDriver
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


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make a script what `ssh` is."""

    def make(script: str) -> None:
        (tmp_path / "ssh").write_text(script)
        (tmp_path / "ssh").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    return make


def test_answer_that_comes_byte_by_byte_ends_with_the_time(program: Callable[[str], None]):
    program("#!/bin/sh\nprintf 'HTTP/1.1 200 OK\\r\\nX: '\nwhile printf x; do sleep 0.05; done\n")
    ssh = Ssh("ssh://host")
    answer = Queue[str]()

    def connect() -> None:
        try:
            ssh.connect(0.5)
        except TimeoutError:
            answer.put("timeout")

    threading.Thread(target=connect, daemon=True).start()
    assert answer.get(timeout=30) == "timeout"


ENDLESS_SAMPLE = """
import sys, time

def say(text):
    sys.stdout.buffer.write(text.encode())
    sys.stdout.buffer.flush()

words = []
while line := sys.stdin.buffer.readline():
    words += line.decode().split()
    if line != b"\\r\\n":
        continue
    target, words = words[1], []
    if "stats" in target:
        say("HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n3\\r\\n{}\\n\\r\\n")
        while True:
            say("1\\r\\n \\r\\n")
            time.sleep(0.05)
    body = "{\\"ApiVersion\\": \\"1.41\\", \\"Version\\": \\"0\\"}"
    say(f"HTTP/1.1 200 OK\\r\\nContent-Length: {len(body)}\\r\\n\\r\\n{body}")
"""


async def test_sample_that_has_no_end_holds_up_nothing(program: Callable[[str], None]):
    program(f"#!{sys.executable}\n{ENDLESS_SAMPLE}")
    async with DockerDriver("ssh://host") as driver:
        assert await driver.stats(["c" * 64]) == {}


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
