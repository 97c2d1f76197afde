"""Two tenants against every RPC on real engines: of the other's nothing is seen, changed or told."""

import secrets
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import docker
import libvirt
import pytest

from free_port import free_port
from guest.media import import_image
from integration.daemon.test_records import pool
from proad.config import Settings
from proad.drivers.docker import DockerDriver
from proad.drivers.libvirt import LibvirtDriver
from proad.model import Access
from proad.store.database import Database
from proad.store.teams import TeamStore
from relaxed_policy import RELAXED
from rpc.daemon import IMAGE, running
from rpc.every_rpc import CHECKS, MARK, OF_A_RESOURCE, OF_SOMETHING_ELSE, World, references
from rpc.same_time import check_same_time
from rpc.tenants import Tenant, tenant
from rpc.watcher import Watcher

pytestmark = [pytest.mark.docker, pytest.mark.libvirt]
__all__ = ["pool"]

_URI = "qemu:///system"
_DISK_BYTES = 2**20
_RELAXED_PROFILE = {name: value for name, value in RELAXED.items() if name != "profiles"}


@dataclass(frozen=True)
class Engines:
    """What the engines themselves have of the victim's."""

    raw: docker.APIClient
    connection: libvirt.virConnect
    pool: str
    world: World

    def truth(self) -> dict[str, object]:
        """Return all that the engines say of what is the victim's."""
        mark = self.world.mark
        domain = self.connection.lookupByName(f"{mark}-vm")
        pool = self.connection.storagePoolLookupByName(self.pool)
        pool.refresh()
        volumes = {each.name(): _volume_xml(each) for each in pool.listAllVolumes()}
        return {
            "container": self.raw.inspect_container(self.world.box.id),
            "image": self.raw.inspect_image(self.world.image),
            "container volume": self.raw.inspect_volume(f"{mark}-data"),
            "domain": (domain.state(), domain.XMLDesc()),
            "persistent domain": domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE),
            "snapshots": [each.getXMLDesc() for each in domain.listAllSnapshots()],
            "volumes": volumes,
            "names": sorted(
                each.name() for each in self.connection.listAllDomains() if mark in each.name()
            ),
        }


def _volume_xml(volume: Any) -> str:
    """Return what a volume is, but for when it was read."""
    lines = volume.XMLDesc().splitlines()
    return "\n".join(line for line in lines if "time>" not in line)


@pytest.fixture
def suffix() -> str:
    return secrets.token_hex(4)


@pytest.fixture
def raw() -> Iterator[docker.APIClient]:
    import_image()
    client = docker.APIClient()
    yield client
    client.close()


@pytest.fixture
def image(raw: docker.APIClient, suffix: str) -> Iterator[str]:
    """The name of an image of the test's own."""
    name = f"proa-test-{suffix}/app:1"
    build = f"FROM {IMAGE}\nLABEL proa-test={suffix}\n"
    subprocess.run(["docker", "build", "-q", "-t", name, "-"], input=build.encode(), check=True)
    yield name
    with suppress(docker.errors.NotFound):
        raw.remove_image(name, force=True)


@asynccontextmanager
async def _swept(raw: docker.APIClient, suffix: str) -> AsyncIterator[None]:
    """Remove at the end what has the names of the test on both engines."""
    try:
        yield
    finally:
        for container in raw.containers(all=True, filters={"name": suffix}):
            raw.remove_container(container["Id"], force=True, v=True)
        for volume in raw.volumes(filters={"name": suffix})["Volumes"] or ():
            raw.remove_volume(volume["Name"])
        connection = libvirt.open(_URI)
        for domain in connection.listAllDomains():
            if suffix in domain.name():
                if domain.isActive():
                    domain.destroy()
                domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA)
        connection.close()


@pytest.fixture(params=["own", "team"])
async def engines(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    raw: docker.APIClient,
    image: str,
    pool: str,
    suffix: str,
) -> AsyncIterator[Engines]:
    """Two tenants of a daemon on both engines; the first one has one of everything."""
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    nowhere = f"127.0.0.1:{free_port()}"
    values: dict[str, Any] = {
        "listen": "127.0.0.1:0",
        "drain_timeout": "5s",
        "policy": {
            **RELAXED,
            "allowed_registries": ["*", nowhere],
            "profiles": {"default": {**_RELAXED_PROFILE, "quota_resources": 100}},
        },
    }
    settings = Settings(state_dir=state, **values)
    url = settings.database_url.get_secret_value()
    drivers = [
        ("local", DockerDriver()),
        ("local", LibvirtDriver(_URI, virt_type="qemu", default_pool=pool)),
    ]
    async with (
        _swept(raw, suffix),
        Database.open(url) as database,
        running(settings, drivers) as daemon,
    ):
        mark = MARK + suffix
        if request.param == "own":
            victim, intruder = await tenant(daemon, mark), await tenant(daemon, "intruder")
        else:
            teams = TeamStore(database)
            victim = await tenant(daemon, mark, Access.TEAM, await teams.add(f"{mark}-team"))
            intruder = await tenant(daemon, "intruder", Access.TEAM, await teams.add("others"))
        box = await victim.container(
            f"{mark}-box",
            image=image,
            command=["sleep", "3600"],
            labels={MARK: mark},
            networks=[{"network": "none"}],
            mounts=[{"volume": {"name": f"{mark}-data"}, "target": "/data"}],
        )
        vm = await victim.domain(
            f"{mark}-vm",
            start=True,
            networkless=True,
            disks=[{"new_volume": {"capacity_bytes": _DISK_BYTES}}],
        )
        await victim.call("CreateSnapshot", id=vm.id, name=f"{mark}-snapshot")
        await victim.call(
            "CreateVolume", spec={"name": f"{mark}-volume", "capacity_bytes": _DISK_BYTES}
        )
        request_id = str(uuid4())
        await victim.call("PauseResource", id=box.id, request_id=request_id)
        await victim.call("ResumeResource", id=box.id)
        world = World(
            victim=victim,
            intruder=intruder,
            box=box,
            vm=vm,
            request_id=request_id,
            suffix=suffix,
            image=image,
            registry=nowhere,
            domain_type="qemu",
            pull=f"{nowhere}/proa-test/none:1",
        )
        connection = libvirt.open(_URI)
        yield Engines(raw, connection, pool, world)
        connection.close()


async def test_tenants_of_real_engines_share_nothing_in_any_rpc(engines: Engines):
    world = engines.world
    seen, truth = await world.seen(), engines.truth()
    for check, methods in CHECKS:
        for method in methods:
            await check(world, method)
            assert engines.truth() == truth, method
    assert await world.seen() == seen


@pytest.mark.parametrize("engines", ["own"], indirect=True)
async def test_hidden_and_missing_of_real_engines_take_the_same_time(engines: Engines):
    world = engines.world
    for resource in (world.box, world.vm):
        for number, written in enumerate(references(resource)[:4]):  # id, name, path, prefix
            for method in ("GetResource", "StopResource")[: 1 if number else 2]:
                fields = OF_A_RESOURCE[method]
                await check_same_time(
                    world.intruder,
                    method,
                    [fields(world, written)],
                    [fields(world, world.other(written))],
                    samples=25,
                )


@pytest.mark.parametrize("engines", ["own"], indirect=True)
async def test_hidden_and_missing_volumes_and_requests_take_the_same_time(engines: Engines):
    world = engines.world
    for method in ("GetRequest", "DeleteVolume", "CreateVolume", "CreateDomain"):
        theirs, nobodys = OF_SOMETHING_ELSE[method](world)
        await check_same_time(world.intruder, method, [theirs], [nobodys], samples=15)


async def told_of_the_host(tenant: Tenant) -> list[object]:
    """Return what a tenant is told of the host, the daemon and the tenant's own use of them."""
    hosts = [*(await tenant.call("ListHosts")).hosts, (await tenant.call("GetHost")).host]
    for engine in (engine for host in hosts for engine in host.engines):
        engine.ClearField("last_sync_time")
    server = (await tenant.call("GetServerInfo")).server
    return [*hosts, server, [*(await tenant.call("GetCaller")).quotas]]


async def test_tenant_learns_nothing_from_what_counts_and_streams(engines: Engines):
    """What has sums, histories and streams is the same whether or not others have anything."""
    world = engines.world
    watcher = await Watcher(world.intruder.daemon, token=world.intruder.token).begin()
    before = await told_of_the_host(world.intruder)
    stats = world.intruder.call("StreamStats")
    try:
        await world.victim.call("PauseResource", id=world.box.id)
        await world.victim.call("ResumeResource", id=world.box.id)
        spec = {"name": f"{world.mark}-more", "capacity_bytes": _DISK_BYTES}
        await world.victim.call("CreateVolume", spec=spec)
        more = {"image": world.image, "networks": [{"network": "none"}]}
        await world.victim.container(f"{world.mark}-more", **more, start=False)
        assert await told_of_the_host(world.intruder) == before
        mine = await world.intruder.domain(
            f"mine-{world.suffix}",
            networkless=True,
            disks=[{"new_volume": {"capacity_bytes": 1024}}],
        )
        await watcher.until(lambda: mine.id in watcher.there)
        assert {each.resource.id for each in watcher.changes} == {mine.id}
        assert {*watcher.there} == {mine.id}
        sampled = await stats.read()
        assert world.box.id not in str(sampled)
        assert world.vm.id not in str(sampled)

        listed = await world.intruder.call("ListResources", page_size=1)
        assert listed.next_page_token == ""
        entries = (await world.intruder.call("ListEntries")).entries
        requests = (await world.intruder.call("ListRequests")).requests
        assert {each.username for each in entries} <= {"intruder"}
        assert list(requests) == []
        for answer in (*before, entries):
            assert [each for each in world.secrets if each in str(answer)] == []
    finally:
        watcher.call.cancel()
        stats.cancel()
