"""A container that is made again takes the place of the one before, whole or not at all."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import docker
import pytest

from free_port import free_port
from integration.docker.workloads import DEAF, IMAGE, LABEL, OBEDIENT, Make
from proad.drivers.docker import DockerDriver
from proad.drivers.docker.put_back import aside
from proad.errors import (
    AlreadyExistsError,
    CapabilityMissingError,
    ImageNotFoundError,
    InUseError,
    InvalidArgumentError,
    ProaError,
)
from proad.model import (
    ContainerSpec,
    DeleteOptions,
    Footprint,
    Lifetime,
    Mount,
    NetworkAttachment,
    PublishedPort,
    Resource,
    ResourceState,
    RestartPolicy,
    RestartPolicyMode,
    VolumeMount,
)
from resource_details import container_of, spec_of

pytestmark = pytest.mark.docker


def names(raw: docker.APIClient, token: str) -> list[str]:
    """Return the names of the containers of a test."""
    found = raw.containers(all=True, filters={"label": f"{LABEL}={token}"})
    return sorted(name for each in found for name in each["Names"])


def port(number: int) -> tuple[PublishedPort, ...]:
    return (PublishedPort(container_port=80, host_port=number, host_ip="127.0.0.1"),)


async def test_recreate_running_container_starts_the_new_one(
    driver: DockerDriver, make: Make, raw: docker.APIClient, token: str
):
    policy = RestartPolicy(mode=RestartPolicyMode.ALWAYS)
    made = await make(*OBEDIENT, ports=port(free_port()), restart_policy=policy)
    spec = replace(spec_of(made), env={"A": "new"})
    again = (await driver.recreate_container(made.id, spec)).resource
    assert (again.name, again.state) == (made.name, ResourceState.RUNNING)
    assert again.id != made.id
    assert container_of(again).env["A"] == "new"
    assert container_of(again).ports == container_of(made).ports
    assert spec_of(again) == spec
    assert names(raw, token) == [f"/{made.name}"]


async def test_recreate_stopped_container_leaves_the_new_one_stopped(
    driver: DockerDriver, make: Make, raw: docker.APIClient, token: str
):
    made = await make(*DEAF, start=False)
    again = (await driver.recreate_container(made.id, spec_of(made))).resource
    assert (again.name, again.state) == (made.name, ResourceState.STOPPED)
    assert names(raw, token) == [f"/{made.name}"]


async def test_recreate_keeps_nameless_volumes_until_the_last_container_is_deleted(
    driver: DockerDriver, make: Make, raw: docker.APIClient
):
    mounts = (Mount(target="/data", volume=VolumeMount()),)
    command = "echo kept > /data/f; exec sleep 3600"
    made = await make("sh", "-c", command, mounts=mounts, stop_timeout=timedelta(seconds=1))
    (volume,) = (mount.volume for mount in container_of(made).mounts)
    assert volume is not None
    current = made
    for _ in range(2):
        spec = replace(spec_of(current), command=DEAF)
        current = (await driver.recreate_container(current.id, spec)).resource
        assert container_of(current).mounts == container_of(made).mounts
        assert spec_of(current).mounts == mounts
    ran = raw.exec_create(current.id, ["cat", "/data/f"])
    assert raw.exec_start(ran["Id"]) == b"kept\n"
    await driver.delete(current.id, DeleteOptions(force=True))
    assert volume.name not in {each["Name"] for each in raw.volumes()["Volumes"] or ()}


async def refused(driver: DockerDriver, old: Resource, spec: ContainerSpec) -> ProaError:
    with pytest.raises(ProaError) as caught:
        await driver.recreate_container(old.id, spec)
    return caught.value


async def check_as_it_was(
    driver: DockerDriver, raw: docker.APIClient, token: str, old: Resource
) -> None:
    now = await driver.get_resource(old.id)
    assert (now.name, now.state) == (old.name, old.state)
    assert spec_of(now) == spec_of(old)
    assert len(names(raw, token)) == 1


async def test_recreate_that_cannot_be_made_leaves_the_old_one_alone(
    driver: DockerDriver, make: Make, raw: docker.APIClient, token: str
):
    made = await make(*OBEDIENT)
    before = raw.inspect_container(made.id)["State"]["StartedAt"]
    error = await refused(driver, made, replace(spec_of(made), image="proa-test/none:1"))
    assert isinstance(error, ImageNotFoundError)
    await check_as_it_was(driver, raw, token, made)
    assert raw.inspect_container(made.id)["State"]["StartedAt"] == before


async def test_recreate_that_cannot_start_puts_the_old_one_back(
    driver: DockerDriver, make: Make, raw: docker.APIClient, token: str
):
    made = await make(*OBEDIENT, ports=port(free_port()))
    missing = replace(spec_of(made), entrypoint=("/no/such/program",))
    error = await refused(driver, made, missing)
    assert isinstance(error, InvalidArgumentError)  # as of a create
    assert [violation.field for violation in error.violations] == ["spec.entrypoint[0]"]
    await check_as_it_was(driver, raw, token, made)


async def test_recreate_on_a_taken_port_puts_the_old_one_back(
    driver: DockerDriver, make: Make, raw: docker.APIClient, token: str
):
    made = await make(*OBEDIENT, ports=port(free_port()))
    taken = free_port()
    other = raw.create_container(
        IMAGE,
        ["sleep", "3600"],
        ports=[80],
        host_config=raw.create_host_config(port_bindings={80: ("127.0.0.1", taken)}),
    )
    try:
        raw.start(other["Id"])
        error = await refused(driver, made, replace(spec_of(made), ports=port(taken)))
        assert isinstance(error, InUseError)
        await check_as_it_was(driver, raw, token, made)
    finally:
        raw.remove_container(other["Id"], force=True)


async def test_recreate_under_a_taken_name_is_refused(
    driver: DockerDriver, make: Make, raw: docker.APIClient
):
    made, other = await make(*OBEDIENT), await make(start=False)
    error = await refused(driver, made, replace(spec_of(made), name=other.name))
    assert isinstance(error, AlreadyExistsError)
    assert (await driver.get_resource(made.id)).state is ResourceState.RUNNING


async def test_recreate_transient_container_that_runs_is_refused(
    driver: DockerDriver, make: Make, raw: docker.APIClient, token: str
):
    made = await make(*OBEDIENT, lifetime=Lifetime.TRANSIENT)
    assert isinstance(await refused(driver, made, spec_of(made)), CapabilityMissingError)
    await check_as_it_was(driver, raw, token, made)


async def test_recreate_keeps_aliases_and_static_address(
    driver: DockerDriver, make: Make, raw: docker.APIClient, token: str
):
    pool = docker.types.IPAMPool(subnet="10.249.78.0/24")
    raw.create_network(token, ipam=docker.types.IPAMConfig(pool_configs=[pool]))
    try:
        wish = NetworkAttachment(network=token, aliases=("db",), ipv4_address="10.249.78.9")
        made = await make(*OBEDIENT, networks=(wish,))
        again = (await driver.recreate_container(made.id, spec_of(made))).resource
        (network,) = container_of(again).networks
        assert (network.aliases, network.ipv4_address) == (("db",), "10.249.78.9")
        await driver.delete(again.id, DeleteOptions(force=True))
    finally:
        raw.remove_network(token)


@pytest.mark.parametrize("renamed", [False, True])
async def test_recreation_that_was_interrupted_is_undone(
    driver: DockerDriver, make: Make, raw: docker.APIClient, token: str, *, renamed: bool
):
    """As after the end of the daemon between two steps."""
    made = await make(*OBEDIENT)
    told: list[Footprint] = []

    async def tell(footprint: Footprint) -> None:
        told.append(
            replace(footprint, replaces=made.id, name=made.name, former=made.name, start=True)
        )

    new = f"{made.name}_proa-new-00000000"
    await driver.create_container(replace(spec_of(made), name=new), announce=tell)
    raw.stop(made.id, timeout=0)
    if renamed:
        raw.rename(made.id, aside(told[0]))
    found = await driver.find_created(told[0])
    assert found is not None
    assert not found.complete
    assert await driver.undo_created(told[0]) == ()
    await check_as_it_was(driver, raw, token, made)
    assert told[0].create_time < datetime.now(UTC)


async def test_recreation_that_was_interrupted_at_its_end_is_finished(
    driver: DockerDriver, make: Make, raw: docker.APIClient, token: str
):
    made = await make(*OBEDIENT)
    told: list[Footprint] = []

    async def tell(footprint: Footprint) -> None:
        told.append(
            replace(footprint, replaces=made.id, name=made.name, former=made.name, start=True)
        )

    raw.rename(made.id, f"{made.name}_proa-old-00000000")
    new = await driver.create_container(spec_of(made), start=True, announce=tell)
    found = await driver.find_created(told[0])
    assert found is not None
    assert found.complete
    assert names(raw, token) == [f"/{made.name}"]
    assert (await driver.get_resource(new.resource.id)).state is ResourceState.RUNNING
