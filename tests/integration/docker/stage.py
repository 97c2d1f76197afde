"""A stage on which refusals are provoked; it deletes everything made on it at its end."""

import asyncio
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import docker
from docker.errors import APIError

from eventually import eventually
from integration.docker.archives import archive
from integration.docker.workloads import DEAF, IMAGE, LABEL
from proad.drivers.docker import DockerDriver
from proad.drivers.docker.errors import refused
from proad.drivers.docker.http.engine_client import EngineClient
from proad.model import (
    ContainerResources,
    ContainerSpec,
    Mount,
    NetworkAttachment,
    PublishedPort,
    ResourceState,
    ResourceUpdate,
    RestartPolicy,
    RestartPolicyMode,
    TmpfsMount,
    VolumeMount,
)
from updating import container_update

_MIB = 2**20
_SUBNET = "10.213.77.0/24"
_OF_SUBNET, _OF_NO_SUBNET = "10.213.77.1", "10.99.99.9"


@dataclass
class Stage:
    """The operations that provocations are made of.

    Attributes:
        made: the ids of the containers that are meant to be there.
    """

    driver: DockerDriver
    raw: docker.APIClient
    engine: EngineClient
    token: str
    made: set[str] = field(default_factory=set)

    def spec(self, **fields: Any) -> ContainerSpec:
        if "ports" not in fields:
            fields.setdefault("networks", (NetworkAttachment(network="none"),))
        fields = {"image": IMAGE, "command": DEAF, "labels": {LABEL: self.token}, **fields}
        return ContainerSpec(**fields)

    async def create(self, **fields: Any) -> str:
        made = await self.driver.create_container(self.spec(**fields), start=True)
        return self._meant(made.resource.id)

    async def update(self, change: ResourceUpdate, **host: Any) -> None:
        """Change a container that the engine's own client made."""
        body = self.raw.create_container(
            IMAGE,
            list(DEAF),
            labels={LABEL: self.token},
            host_config={"NetworkMode": "none", **host},
        )
        self.raw.start(self._meant(body["Id"]))
        await self.driver.update(body["Id"], change)

    async def update_below_use(self) -> None:
        fill = "dd if=/dev/zero of=/m/f bs=1M count=60 2>/dev/null; echo full; sleep 3600"
        limits = ContainerResources(memory_bytes=100 * _MIB, memory_swap_bytes=100 * _MIB)
        mounts = (Mount(target="/m", tmpfs=TmpfsMount()),)
        id = await self.create(command=("sh", "-c", fill), mounts=mounts, resources=limits)

        async def full() -> bool:
            return b"full" in await asyncio.to_thread(self.raw.logs, id)

        await eventually(full)
        change = container_update(memory_bytes=20 * _MIB, memory_swap_bytes=20 * _MIB)
        await self.driver.update(id, change)

    async def create_with_a_full_volume(self) -> None:
        """Create a container whose image fills a new volume: the engine copies the files at its target."""
        options = {"type": "tmpfs", "device": "tmpfs", "o": "size=4096"}
        self.raw.create_volume(self.token, driver_opts=options)
        try:
            volume = VolumeMount(name=self.token)
            await self.create(mounts=(Mount(target="/bin", volume=volume),))
        finally:
            self.raw.remove_volume(self.token)

    async def remove_at_once(self) -> None:
        """Remove one container twice at once, until one removal meets the other."""
        for _ in range(50):
            made = await self.driver.create_container(self.spec())
            path = f"/containers/{made.resource.id}"
            for answer in await asyncio.gather(*[self.engine.delete(path) for _ in range(2)]):
                if answer.status == HTTPStatus.CONFLICT:
                    raise refused(answer.status, answer.text)

    async def pause_between_restarts(self) -> None:
        policy = RestartPolicy(mode=RestartPolicyMode.ALWAYS)
        id = await self.create(command=("false",), restart_policy=policy)
        async with asyncio.timeout(60):
            while True:
                now = await self.driver.get_resource(id)
                assert now.container is not None
                # The pause after the fifth is of 3.2 seconds.
                if now.state is ResourceState.STARTING and now.container.restart_count > 4:
                    break
                await asyncio.sleep(0.02)
        answer = await self.engine.post(f"/containers/{id}/pause")
        raise refused(answer.status, answer.text)

    async def create_without_a_command(self) -> None:
        self.raw.import_image_from_data(archive(empty=b""), repository=self.token, tag="1")
        try:
            await self.create(image=f"{self.token}:1", command=())
        finally:
            self.raw.remove_image(f"{self.token}:1", force=True)

    async def create_beside_a_stopped_one(self, **fields: Any) -> None:
        other = await self.driver.create_container(self.spec())
        networks = (NetworkAttachment(network=f"container:{self._meant(other.resource.id)}"),)
        await self.create(networks=networks, **fields)

    async def create_on_a_subnet(self, *, own: bool) -> None:
        """Ask for the address of the gateway, or for one of somewhere else."""
        pool = docker.types.IPAMPool(subnet=_SUBNET, gateway=_OF_SUBNET)
        config = docker.types.IPAMConfig(pool_configs=[pool])
        network = self.raw.create_network(self.token, ipam=config)
        try:
            address = _OF_SUBNET if own else _OF_NO_SUBNET
            wish = NetworkAttachment(network=self.token, ipv4_address=address)
            await self.create(networks=(wish,))
        finally:
            self.raw.remove_network(network["Id"])

    async def create_with_one_port_twice(self) -> None:
        with _listener() as number:
            pass
        ports = [PublishedPort(container_port=80 + n, host_port=number) for n in range(2)]
        await self.create(ports=tuple(ports))

    async def start_with_a_port_that_is_taken(self) -> None:
        with _listener() as number:
            port = PublishedPort(container_port=80, host_port=number, host_ip="127.0.0.1")
            made = await self.driver.create_container(self.spec(ports=(port,)))
            await self.driver.start(self._meant(made.resource.id))

    async def pull(self, name: str, platform: str) -> None:
        async for _ in self.driver.pull_image(name, platform=platform):
            pass

    def left(self) -> set[str]:
        """Return the ids of the containers that a call should have undone."""
        found = self.raw.containers(all=True, filters={"label": f"{LABEL}={self.token}"})
        return {each["Id"] for each in found} - self.made

    def clear(self) -> None:
        for id in self.left() | self.made:
            try:
                self.raw.remove_container(id, force=True, v=True)
            except APIError as error:  # it removes itself
                if error.status_code not in {HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND}:
                    raise

    def _meant(self, id: str) -> str:
        self.made.add(id)
        return id


@contextmanager
def on_stage(driver: DockerDriver, raw: docker.APIClient) -> Iterator[Stage]:
    token = f"proa-test-{secrets.token_hex(4)}"
    engine = EngineClient(driver.endpoint, cert_path=None, threads=2, timeout=timedelta(seconds=60))
    with engine:
        stage = Stage(driver, raw, engine, token)
        try:
            yield stage
        finally:
            stage.clear()


@contextmanager
def _listener() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]
