"""Streams of bytes by TLS, on connections that HTTP has handed over."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import uvloop

from certificates import Authority
from proad.drivers.docker.http.byte_stream import ByteStream
from proad.drivers.docker.http.handover import Carrier, HandedOver, answer_of
from proad.drivers.docker.http.transport import Transport
from proad.model import PIECE

HEAD = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
MANY = 3_000_000
LIMIT = timedelta(seconds=30)
Serve = Callable[[ssl.SSLSocket], None]

runs = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority that has filled the folder with certificates for both ends."""
    authority = Authority()
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    for name in ("", "server-"):
        issued = authority.server()
        (tmp_path / f"{name}cert.pem").write_bytes(issued.chain)
        (tmp_path / f"{name}key.pem").write_bytes(issued.pem_key)
    return authority


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def connected(
    authority: Authority, tmp_path: Path, request: pytest.FixtureRequest
) -> Callable[[Serve], Any]:
    """Connects to a server on a thread, which answers an upgrade and then does something."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server-cert.pem", tmp_path / "server-key.pem")
    context.load_verify_locations(tmp_path / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = request.param

    @contextmanager
    def connect(serve: Serve) -> Iterator[HandedOver]:
        with socket.create_server(("127.0.0.1", 0)) as listener:

            def accept() -> None:
                caller, _ = listener.accept()
                # Who is refused leaves.
                with (
                    caller,
                    suppress(ConnectionError, ssl.SSLError),
                    context.wrap_socket(caller, server_side=True) as carrier,
                ):
                    carrier.recv(PIECE)
                    serve(carrier)

            server = threading.Thread(target=accept)
            server.start()
            port = listener.getsockname()[1]
            transport = Transport(
                f"tcp://127.0.0.1:{port}",
                cert_path=tmp_path,
                size=1,
                timeout=LIMIT,
                connect_timeout=LIMIT,
            )
            carrier = Carrier()
            with carrier.connection(transport, "/upgrade", LIMIT) as (connection, target):
                connection.request("POST", target)
                over = carrier.handed_over(answer_of(connection))
            yield over
            server.join(30)
            assert not server.is_alive()

    return connect


def ended(carrier: ssl.SSLSocket) -> None:
    """Say that nothing more comes."""
    with suppress(OSError):
        carrier.unwrap()


async def all_of(stream: ByteStream) -> bytes:
    pieces = []
    while piece := await stream.read():
        assert len(piece) <= PIECE
        pieces.append(piece)
    return b"".join(pieces)


@runs
def test_stream_begins_with_what_came_with_the_headers(run: Any, connected: Any):
    content = bytes(range(256)) * (MANY // 256)

    def serve(carrier: ssl.SSLSocket) -> None:
        carrier.sendall(HEAD + content[:100])
        carrier.sendall(content[100:])
        ended(carrier)

    with connected(serve) as over:
        assert run(_read(over)) == content


async def _read(over: HandedOver) -> bytes:
    stream = await over.stream()
    try:
        return await all_of(stream)
    finally:
        stream.close()


@runs
def test_end_of_the_own_side_leaves_the_other_one(run: Any, connected: Any):
    """What comes meanwhile, and after it, is read all the same."""

    def serve(carrier: ssl.SSLSocket) -> None:
        carrier.sendall(HEAD + b"before ")
        got = b"".join(iter(lambda: carrier.recv(PIECE), b""))
        carrier.sendall(got + b" after" * 100_000)
        ended(carrier)

    async def talk(over: HandedOver) -> bytes:
        stream = await over.stream()
        await stream.write(b"x" * MANY)
        stream.write_eof()
        stream.write_eof()
        await stream.write(b"too late")
        said = await all_of(stream)
        stream.close()
        return said

    with connected(serve) as over:
        assert run(talk(over)) == b"before " + b"x" * MANY + b" after" * 100_000


@runs
def test_end_that_nobody_told_is_a_loss(run: Any, connected: Any):
    def serve(carrier: ssl.SSLSocket) -> None:
        carrier.sendall(HEAD + b"said")
        carrier.shutdown(socket.SHUT_RDWR)

    async def read(over: HandedOver) -> None:
        stream = await over.stream()
        assert await stream.read() == b"said"
        for _ in range(2):
            with pytest.raises(ConnectionError):
                await stream.read()
        await stream.write(b"x")
        stream.write_eof()
        stream.close()

    with connected(serve) as over:
        run(read(over))


@runs
def test_garbage_is_a_loss(run: Any, connected: Any):
    def serve(carrier: ssl.SSLSocket) -> None:
        carrier.sendall(HEAD)
        carrier.recv(1)
        with socket.socket(fileno=carrier.fileno()) as plain:
            plain.sendall(b"no record of TLS")
            plain.detach()

    async def read(over: HandedOver) -> None:
        stream = await over.stream()
        await stream.write(b"x")
        with pytest.raises(ConnectionError):
            await stream.read()
        stream.close()

    with connected(serve) as over:
        run(read(over))


def test_writer_waits_for_who_does_not_read(connected: Any):
    may_end = threading.Event()

    def serve(carrier: ssl.SSLSocket) -> None:
        carrier.sendall(HEAD)
        may_end.wait(30)

    async def write(over: HandedOver) -> None:
        stream = await over.stream()
        taken = 0

        async def write_for_ever() -> None:
            nonlocal taken
            while True:
                await stream.write(b"x" * PIECE)
                taken += PIECE

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(write_for_ever(), 1)
        assert taken < 16 * 2**20
        may_end.set()
        stream.close()

    with connected(serve) as over:
        asyncio.run(write(over))


def test_certificate_of_somebody_else_is_refused(
    connected: Any, authority: Authority, tmp_path: Path
):
    (tmp_path / "ca.pem").write_bytes(Authority().pem)

    def never(_: ssl.SSLSocket) -> None:
        raise AssertionError

    with pytest.raises(ssl.SSLCertVerificationError), connected(never):
        pass
