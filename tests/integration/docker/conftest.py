import fcntl
import os
import secrets
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import APIError, DockerException

from eventually import eventually
from guest.media import import_image
from integration.docker.inside_containers import Run, outcome
from integration.docker.private_engine import PrivateEngine
from integration.docker.workloads import IMAGE, LABEL, Make, runs_its_command
from proad.drivers.docker import DockerDriver
from proad.drivers.docker.driver import DEFAULT_URL
from proad.drivers.docker.network_namespace import NetworkNamespace
from proad.model import (
    CommandExit,
    CommandSpec,
    CommandStreams,
    ContainerSpec,
    NetworkAttachment,
    Resource,
)


@pytest.fixture(scope="session")
def raw() -> Iterator[docker.APIClient]:
    """A client of the engine beside the driver, for external changes and checks."""
    url = os.environ.get("DOCKER_HOST") or DEFAULT_URL
    try:
        client = docker.APIClient(url, version="auto", timeout=30)
    except DockerException as error:
        if os.environ.get("PROA_REQUIRE_ENGINES") == "1":
            raise
        pytest.skip(f"no Docker Engine at {url}: {error}")
    if not client.images(IMAGE):
        import_image(url)
    yield client
    client.close()


@pytest.fixture
async def driver(raw: docker.APIClient) -> AsyncIterator[DockerDriver]:
    async with DockerDriver() as driver:
        yield driver


@pytest.fixture
def token() -> str:
    """A unique name, also used as the value of this test's label."""
    return f"proa-test-{secrets.token_hex(4)}"


@pytest.fixture
async def make(driver: DockerDriver, raw: docker.APIClient, token: str) -> AsyncIterator[Make]:
    class Making:
        count = 0

        def spec(self, *command: str, **fields: Any) -> ContainerSpec:
            Making.count += 1
            fields = {"image": IMAGE, "name": f"{token}-{Making.count}", **fields}
            if "ports" not in fields:  # a container without a network starts faster
                fields.setdefault("networks", (NetworkAttachment(network="none"),))
            fields["labels"] = {LABEL: token, **fields.get("labels", {})}
            return ContainerSpec(command=command, **fields)

        async def __call__(self, *command: str, start: bool = True, **fields: Any) -> Resource:
            made = await driver.create_container(self.spec(*command, **fields), start=start)
            await eventually(partial(runs_its_command, made.resource), every=0.01)
            return made.resource

    yield Making()
    for container in raw.containers(all=True, filters={"label": f"{LABEL}={token}"}):
        try:
            raw.remove_container(container["Id"], force=True, v=True)
        except APIError as error:  # it is removing itself, or already removed
            if error.status_code not in {HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND}:
                raise


@pytest.fixture
def binds_alone() -> Iterator[None]:
    """While a container of any test binds the whole host, no other one may bind a part of it."""
    with Path(tempfile.gettempdir(), "proa-test-binds.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for a Unix socket."""
    with tempfile.TemporaryDirectory(prefix="proa-test-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@pytest.fixture
def engine(folder: Path) -> Iterator[PrivateEngine]:
    engine = PrivateEngine(folder)
    try:
        yield engine
    finally:
        engine.stop()


@pytest.fixture
async def box(make: Make) -> Resource:
    return await make("sleep", "1000")


@pytest.fixture
def run(driver: DockerDriver, box: Resource) -> Run:
    """Run a command in the box to its end; return its outputs and its exit."""

    async def running(
        *argv: str, streams: CommandStreams = CommandStreams(), **spec: Any
    ) -> tuple[bytes, bytes, CommandExit]:
        wanted = CommandSpec(argv=argv, **spec)
        async with driver.start_command(box.id, wanted, streams) as command:
            return await outcome(command)

    return running


@pytest.fixture(params=["inside", "beside"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let the daemon enter namespaces, or not, as in the confined unit."""
    if request.param == "beside":

        async def refuse(_: NetworkNamespace) -> list[socket.socket]:
            raise PermissionError

        monkeypatch.setattr(NetworkNamespace, "sockets", refuse)
    return str(request.param)
