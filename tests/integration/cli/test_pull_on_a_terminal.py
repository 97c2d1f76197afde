"""The output of a pull on a terminal of 80 columns, whichever way the pull ends."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import DockerException, ImageNotFound

from integration.cli.terminal import Terminal
from integration.daemon.conftest import PASSWORD, Daemon
from integration.docker.archives import archive
from integration.docker.registry import SlowRoad, find_registry, serve_registry, slow_road
from proa import v1
from requirements import skip_or_fail

pytestmark = pytest.mark.docker


@pytest.fixture
def api() -> Iterator[Any]:
    if find_registry() is None:
        skip_or_fail("docker-registry is not installed; deploy/test-services.sh does it")
    try:
        api = docker.from_env().api
        api.ping()
    except DockerException as error:
        skip_or_fail(f"no Docker Engine: {error}")
    yield api
    api.close()


@dataclass
class SlowPull:
    """An image behind a slow proxy, and a daemon that may pull from it."""

    image: str
    road: SlowRoad
    layers: list[Path]
    begin: Callable[..., Terminal]


@pytest.fixture
async def slow_pull(api: Any, tmp_path: Path) -> AsyncIterator[SlowPull]:
    terminals: list[Terminal] = []
    with serve_registry(tmp_path / "registry") as address:
        async with slow_road(address) as road:
            name = f"proa-test-{secrets.token_hex(4)}:1"
            await asyncio.to_thread(push, api, f"{address}/{name}")
            image = f"{road.address}/{name}"
            home = tmp_path / "home"
            home.mkdir()
            daemon = Daemon(home, {"PROA_ALLOWED_REGISTRIES": road.address})
            variables = await asyncio.to_thread(log_in, daemon)

            def begin(*arguments: str) -> Terminal:
                terminals.append(Terminal(tmp_path, 80, *arguments, **variables))
                return terminals[-1]

            blobs = (tmp_path / "registry").rglob("blobs/sha256/*/*/data")
            layers = [blob for blob in blobs if blob.stat().st_size > 100_000]
            yield SlowPull(image, road, layers, begin)
            for terminal in terminals:
                terminal.close()
            await asyncio.to_thread(daemon.stop)
            with suppress(ImageNotFound):
                await asyncio.to_thread(api.remove_image, image)


def push(api: Any, image: str) -> None:
    repository, _, tag = image.rpartition(":")
    content = archive(content=secrets.token_bytes(300_000))
    api.import_image_from_data(content, repository=repository, tag=tag)
    for line in api.push(image, stream=True, decode=True):
        assert "error" not in line, line
    api.remove_image(image)


def log_in(daemon: Daemon) -> dict[str, str]:
    daemon.start()
    with daemon.client() as client:
        login = v1.CreateTokenRequest(username="ada", password=PASSWORD)
        token = client.auth.CreateToken(login).token
    return {"PROA_TARGET": daemon.address, "PROA_TOKEN": token}


async def test_pull_on_a_terminal_ends_with_the_id_alone(slow_pull: SlowPull):
    terminal = slow_pull.begin("pull", slow_pull.image)
    await asyncio.to_thread(terminal.until, "Downloading")
    assert [line for line in terminal.lines() if len(line) > 80] == []
    code, lines = await asyncio.to_thread(terminal.end)
    assert code == 0, lines
    assert len(lines) == 1
    assert lines[0].startswith("sha256:")


async def test_pull_on_a_terminal_when_failed_ends_with_the_error_alone(slow_pull: SlowPull):
    for layer in slow_pull.layers:
        layer.unlink()
    code, lines = await asyncio.to_thread(slow_pull.begin("pull", slow_pull.image).end)
    assert code not in {0, 130}
    assert lines[0].startswith("Error: ")
    assert not [line for line in lines if "━" in line or "Pulling" in line or "bytes" in line]


async def test_pull_on_a_terminal_when_interrupted_leaves_no_rows(slow_pull: SlowPull):
    digests = [layer.parent.name.encode() for layer in slow_pull.layers]
    assert len(digests) == 1
    slow_pull.road.blocked = b"/blobs/sha256:" + digests[0]
    terminal = slow_pull.begin("pull", slow_pull.image)
    await asyncio.to_thread(terminal.until, "Pulling fs layer")
    terminal.interrupt()
    code, lines = await asyncio.to_thread(terminal.end)
    assert code == 130
    assert [line for line in lines if line not in {"", "^C"}] == []
