"""TLS from the hands of strangers: handshakes that never end, old versions, renegotiation."""

import asyncio
import shutil
import ssl

import grpc
import pytest

from certificates import Authority
from free_port import free_port
from proa import v1
from proad.rpc.timing import RpcTiming
from proad.timing import DaemonTiming
from requirements import skip_or_fail
from rpc.daemon import BOTH, RPCS

CONNECTIONS = 200
# The head of a ClientHello of 256 bytes, and a few of them.
PART_OF_A_HELLO = bytes.fromhex("16030101000100") + bytes(20)


class Served:
    """A daemon with TLS on a port."""

    def __init__(self, daemon, authority, port):
        self.daemon = daemon
        self.authority = authority
        self.port = port

    async def call(self):
        """Call on a connection of its own."""
        credentials = grpc.ssl_channel_credentials(self.authority.pem)
        own = [("grpc.use_local_subchannel_pool", 1)]
        address = f"127.0.0.1:{self.port}"
        async with grpc.aio.secure_channel(address, credentials, options=own) as channel:
            token = self.daemon.token(*BOTH)
            return await self.daemon.send(
                RPCS["GetCaller"], v1.GetCallerRequest(), token=token, channel=channel
            )


@pytest.fixture
async def served(serve, tmp_path):
    authority, port = Authority(), free_port()
    authority.server().write(tmp_path, "server")
    daemon = await serve(
        timing=DaemonTiming(rpc=RpcTiming(handshake=2)),
        listen=f"unix:{tmp_path}/s,127.0.0.1:{port}",
        tls_cert_file=tmp_path / "server.crt",
        tls_key_file=tmp_path / "server.key",
    )
    return Served(daemon, authority, port)


async def test_half_open_handshakes_are_closed_and_others_served(served):
    """Some say nothing, some begin a handshake and stop."""
    opened = [await asyncio.open_connection("127.0.0.1", served.port) for _ in range(CONNECTIONS)]
    for _reader, writer in opened[::2]:
        writer.write(PART_OF_A_HELLO)

    assert (await served.call()).username == "ann"

    for reader, writer in opened:
        await asyncio.wait_for(_end(reader), 60)
        writer.close()


async def test_connections_without_a_call_leave_others_served(served):
    context = ssl.create_default_context(cadata=served.authority.pem.decode())
    context.set_alpn_protocols(["h2"])
    opened = [
        await asyncio.open_connection("127.0.0.1", served.port, ssl=context)
        for _ in range(CONNECTIONS)
    ]

    assert (await served.call()).username == "ann"

    # The daemon waits for the preface of HTTP/2 as for a handshake.
    for reader, writer in opened:
        await asyncio.wait_for(_end(reader), 60)
        writer.close()


async def test_old_versions_of_tls_and_renegotiation_are_refused(served):
    if shutil.which("openssl") is None:
        skip_or_fail("no openssl")
    assert "Protocol  : TLSv1.2" in await _s_client(served.port, "-tls1_2")
    old = await _s_client(served.port, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
    assert "Cipher is (NONE)" in old

    # "R" on its own line asks for a renegotiation, which only TLS 1.2 has.
    asked = await _s_client(served.port, "-tls1_2", typed=b"R\n")

    assert "RENEGOTIATING" in asked
    # The daemon has closed the connection, or gone on with HTTP/2.
    assert "unexpected eof" in asked or "unexpected record" in asked
    assert (await served.call()).username == "ann"


async def _end(reader):
    """Read to the end; a reset is one, too."""
    try:
        while await reader.read(65_536):
            pass
    except (ConnectionError, ssl.SSLError):
        return


async def _s_client(port, *options, typed=b""):
    """Return what openssl's client prints."""
    process = await asyncio.create_subprocess_exec(
        "openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-alpn", "h2", *options,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        output, _ = await asyncio.wait_for(process.communicate(typed), 60)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return output.decode(errors="replace")
