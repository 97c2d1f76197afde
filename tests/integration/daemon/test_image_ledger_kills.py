"""A daemon that is killed when the engine has an image, and the ledger does not know it yet."""

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import docker
import pytest

import proa
from integration.daemon.conftest import Daemon
from integration.daemon.test_tenants import add_tenants
from integration.docker.conftest import raw
from integration.docker.counting_proxy import CountingProxy
from integration.docker.engine_socket import engine_socket
from integration.docker.registry import PASSWORD, USER
from integration.docker.test_image_ledger import upload_runnable
from integration.docker.test_images import cleaned, registries
from proa import v1

pytestmark = pytest.mark.docker
__all__ = ["cleaned", "raw", "registries"]


class Holding(CountingProxy):
    """Keeps from the engine what is asked of one image, which the engine has then."""

    def __init__(self, engine: Path, socket: Path, image: str) -> None:
        super().__init__(engine, socket)
        self.asked = asyncio.Event()
        self._image = image.rpartition("/")[2].encode()

    def request(self, chunk: bytes) -> bytes:
        if chunk.startswith(b"GET ") and self._image.partition(b":")[0] in chunk.split(b"\r\n")[0]:
            self.asked.set()
            return b""
        return chunk


def log_in(client: proa.Client, registry: str) -> None:
    request = v1.LoginRegistryRequest(registry=registry, username=USER, password=PASSWORD)
    client.images.LoginRegistry(request)


def pull(client: proa.Client, image: str) -> None:
    for _ in client.images.PullImage(v1.PullImageRequest(image=image)):
        pass


def ids(client: proa.Client) -> set[str]:
    return {each.id for each in client.images.ListImages(v1.ListImagesRequest()).images}


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose path is short enough for a Unix socket."""
    return tmp_path_factory.mktemp("s")


@pytest.mark.parametrize("had", [False, True], ids=["new", "everybodys"])
async def test_image_is_its_pullers_or_stays_everybodys_after_a_kill_in_the_middle(
    *,
    had: bool,
    start_daemon: Callable[..., Daemon],
    raw: docker.APIClient,
    registries: tuple[str, str],
    cleaned: str,
    folder: Path,
):
    closed = registries[1]
    name = f"{closed}/{cleaned}:1"
    id = upload_runnable(raw, name)
    if had:
        raw.pull(name, auth_config={"username": USER, "password": PASSWORD})
    async with Holding(engine_socket(), folder / "d.sock", name).serving() as engine:
        assert isinstance(engine, Holding)
        daemon = await asyncio.to_thread(
            start_daemon,
            PROA_DOCKER_URL=engine.url,
            PROA_LIBVIRT_URI="",
            PROA_ALLOWED_REGISTRIES=f"*,{closed}",
        )
        await add_tenants(daemon, "tina", "toby")
        tina, toby = daemon.client("tina"), daemon.client("toby")
        await asyncio.to_thread(log_in, tina, closed)
        pulling = asyncio.create_task(asyncio.to_thread(pull, tina, name))
        await engine.asked.wait()
        assert await asyncio.to_thread(daemon.stop, signal.SIGKILL) != 0
        with suppress(proa.Error):
            await pulling
    assert raw.inspect_image(name)["Id"] == id

    daemon.environment["PROA_DOCKER_URL"] = f"unix://{engine_socket()}"
    tina.close()
    toby.close()
    await asyncio.to_thread(daemon.start)
    # Those of before may still wait before they connect again.
    tina, toby = daemon.client("tina"), daemon.client("toby")

    for _ in range(2):
        assert id in await asyncio.to_thread(ids, tina)
        assert (id in await asyncio.to_thread(ids, toby)) == had
        for written in (name, id):
            request = v1.CreateContainerRequest(spec=v1.ContainerSpec(image=written))
            if had:
                request.validate_only = True
                await asyncio.to_thread(toby.containers.CreateContainer, request)
                continue
            with pytest.raises(proa.NotFound) as refused:
                await asyncio.to_thread(toby.containers.CreateContainer, request)
            assert refused.value.reason == "IMAGE_NOT_FOUND"
        await asyncio.to_thread(log_in, tina, closed)
        await asyncio.to_thread(pull, tina, name)
    tina.close()
    toby.close()
