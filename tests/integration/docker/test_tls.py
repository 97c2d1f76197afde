"""An engine behind TCP with TLS and client certificates."""

import asyncio
import shutil
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from event_queue import EventQueue
from eventually import eventually
from integration.docker.engine_socket import engine_socket
from integration.docker.remote_engines import authority
from integration.docker.workloads import Make
from proad.drivers.docker import DockerDriver
from proad.errors import EngineUnreachableError, RegistryUnreachableError
from updating import container_update

pytestmark = pytest.mark.docker


@asynccontextmanager
async def tls_door(folder: Path | None) -> AsyncIterator[str]:
    """A TLS port in front of the engine that requires a client certificate; None: a plain one."""
    context = None
    if folder is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server-cert.pem", folder / "server-key.pem")
        context.load_verify_locations(folder / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(2**16):
                writer.write(data)
        finally:
            writer.close()

    async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        travellers.add(task)
        far = await asyncio.open_unix_connection(engine_socket())
        await asyncio.gather(carry(reader, far[1]), carry(far[0], writer), return_exceptions=True)
        with suppress(OSError):  # what a client with a wrong certificate leaves
            await writer.wait_closed()

    travellers: set[asyncio.Task[None]] = set()
    server = await asyncio.start_server(lead, "127.0.0.1", 0, ssl=context)
    yield f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    await server.wait_closed()
    await asyncio.wait(travellers, timeout=2)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")
async def test_driver_with_client_certificate_connects(make: Make, tmp_path: Path):
    made = await make(start=False)
    right, wrong = authority(tmp_path / "right"), authority(tmp_path / "wrong")
    async with tls_door(right) as url:
        async with DockerDriver(url, cert_path=right) as driver:
            assert (await driver.probe()).version
            assert await driver.get_resource(made.id) == made
            with pytest.raises(RegistryUnreachableError):  # a stream uses a separate connection
                await anext(aiter(driver.pull_image("127.0.0.1:1/x")))
            async with EventQueue.of(driver) as events:
                await driver.update(made.id, container_update(name=f"{made.name}-new"))
                async with asyncio.timeout(30):
                    while (await anext(events)).id != made.id:
                        pass
            assert await driver.stats([made.id]) == {}  # the container is stopped

            async def no_listeners() -> bool:
                return all(thread.name != "docker-events" for thread in threading.enumerate())

            await eventually(no_listeners)
        for folder in (wrong, None):
            async with DockerDriver(url, cert_path=folder) as driver:
                with pytest.raises(EngineUnreachableError):
                    await driver.probe()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")
async def test_plain_engine_that_is_spoken_to_by_tls_tells_the_way_out(tmp_path: Path):
    certificates = authority(tmp_path / "tls")
    async with tls_door(None) as url, DockerDriver(url, cert_path=certificates) as driver:
        for call in (driver.probe, driver.list_resources):
            with pytest.raises(EngineUnreachableError, match="answers without TLS") as told:
                await call()
            assert "docker_tls_dir" in str(told.value)
    async with tls_door(None) as url, DockerDriver(url) as driver:
        assert (await driver.probe()).version
