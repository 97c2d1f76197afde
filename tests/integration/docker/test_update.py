"""Changing an existing container."""

from typing import Any

import docker
import pytest

from integration.docker.workloads import DEAF, Make
from proad.drivers.docker import DockerDriver
from proad.errors import (
    AlreadyExistsError,
    CapabilityMissingError,
    InvalidArgumentError,
    ResourceNotFoundError,
)
from proad.model import (
    ContainerResources,
    Lifetime,
    ResourceState,
    ResourceUpdate,
    RestartPolicy,
    RestartPolicyMode,
)
from resource_details import spec_of
from updating import container_update, domain_update

pytestmark = pytest.mark.docker

MIB = 2**20


async def test_update_name_renames(driver: DockerDriver, make: Make, token: str):
    made = await make(*DEAF)
    renamed = (await driver.update(made.id, container_update(name=f"{token}-new"))).resource
    assert (renamed.id, renamed.name) == (made.id, f"{token}-new")
    same = (await driver.update(made.id, container_update(name=f"{token}-new"))).resource
    assert same.name == f"{token}-new"


async def test_update_with_taken_name_changes_nothing(driver: DockerDriver, make: Make):
    first, second = await make(start=False), await make(start=False)
    change = container_update(name=first.name, pids_limit=9)
    with pytest.raises(AlreadyExistsError) as caught:
        await driver.update(second.id, change)
    assert caught.value.metadata["existing_id"] == first.id
    assert await driver.get_resource(second.id) == second


@pytest.mark.parametrize("name", ["a/b", "ü", "-x", "x", "a b", "\0"])
async def test_update_with_invalid_name_names_field(driver: DockerDriver, make: Make, name: str):
    made = await make(start=False)
    update = container_update(name=name, pids_limit=9)
    for call in (driver.plan_update, driver.update):
        with pytest.raises(InvalidArgumentError) as caught:
            await call(made.id, update)
        assert caught.value.violations[0].field == "container.name"
    assert await driver.get_resource(made.id) == made


async def test_update_with_values_that_docker_refuses_keeps_the_name(
    driver: DockerDriver, make: Make, token: str
):
    made = await make(start=False)
    with pytest.raises(InvalidArgumentError):
        await driver.update(made.id, container_update(name=f"{token}-new", memory_bytes=4096))
    assert await driver.get_resource(made.id) == made


@pytest.mark.parametrize("state", [ResourceState.STOPPED, ResourceState.RUNNING])
async def test_update_limits_and_policy_applies_them(
    driver: DockerDriver, make: Make, state: ResourceState
):
    start = state is ResourceState.RUNNING
    made = await make(*DEAF, start=start, resources=ContainerResources(pids_limit=50))
    policy = RestartPolicy(mode=RestartPolicyMode.ON_FAILURE, max_retries=2)
    change = container_update(
        memory_bytes=64 * MIB,
        memory_swap_bytes=96 * MIB,
        cpus=0.75,
        cpuset_cpus="0",
        pids_limit=0,
        restart_policy=policy,
    )
    answer = await driver.update(made.id, change)
    updated = answer.resource
    assert answer.restart_required == ()
    assert spec_of(updated).resources == ContainerResources(
        memory_bytes=64 * MIB,
        memory_reservation_bytes=0,
        memory_swap_bytes=96 * MIB,
        cpus=0.75,
        cpuset_cpus="0",
        pids_limit=0,
    )
    assert spec_of(updated).restart_policy == policy
    assert updated.state is state


@pytest.mark.parametrize(
    ("before", "swap"),
    [
        (ContainerResources(), None),
        (ContainerResources(memory_bytes=16 * MIB, memory_swap_bytes=-1), -1),
        (ContainerResources(memory_bytes=16 * MIB, memory_swap_bytes=80 * MIB), 80 * MIB),
    ],
)
async def test_update_memory_alone_adjusts_swap(
    driver: DockerDriver, make: Make, before: ContainerResources, swap: int | None
):
    made = await make(start=False, resources=before)
    change = container_update(memory_bytes=64 * MIB)
    limits = spec_of((await driver.update(made.id, change)).resource).resources
    assert (limits.memory_bytes, limits.memory_swap_bytes) == (64 * MIB, swap)


@pytest.mark.parametrize(
    "change",
    [
        {"memory_bytes": 0},
        {"memory_swap_bytes": 0},
        {"cpus": 0.0},
        {"cpuset_cpus": "", "pids_limit": 7},
        {"cpu_shares": 0},
        {"memory_reservation_bytes": 0},
    ],
)
async def test_update_removing_limits_raises_capability_missing(
    driver: DockerDriver, make: Make, change: dict[str, Any]
):
    limits = ContainerResources(
        memory_bytes=64 * MIB,
        memory_reservation_bytes=32 * MIB,
        cpus=1.0,
        cpuset_cpus="0",
        cpu_shares=512,
    )
    made = await make(start=False, resources=limits)
    with pytest.raises(CapabilityMissingError):
        await driver.update(made.id, container_update(name="proa-test-x", **change))
    assert await driver.get_resource(made.id) == made


async def test_update_of_absent_limits_changes_nothing(driver: DockerDriver, make: Make):
    made = await make(start=False)
    change = container_update(memory_bytes=0, memory_swap_bytes=0, cpus=0.0, cpuset_cpus="")
    updated = await driver.update(made.id, change)
    assert updated.resource == made


async def test_update_refused_by_engine_names_field(
    driver: DockerDriver, make: Make, raw: docker.APIClient
):
    made = await make(*DEAF, lifetime=Lifetime.TRANSIENT)
    policy = RestartPolicy(mode=RestartPolicyMode.ALWAYS)
    with pytest.raises(InvalidArgumentError) as caught:
        await driver.update(made.id, container_update(restart_policy=policy))
    assert caught.value.violations[0].field == "container.restart_policy"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (container_update(labels={}), CapabilityMissingError),
        (container_update(env={"A": "b"}, name="proa-test-x"), CapabilityMissingError),
        (domain_update(), InvalidArgumentError),
    ],
)
async def test_update_with_unsupported_fields_changes_nothing(
    driver: DockerDriver, make: Make, change: ResourceUpdate, error: type[Exception]
):
    made = await make(start=False)
    with pytest.raises(error):
        await driver.update(made.id, change)
    assert await driver.get_resource(made.id) == made


async def test_update_of_unknown_id_raises_resource_not_found(driver: DockerDriver):
    with pytest.raises(ResourceNotFoundError):
        await driver.update("0" * 64, container_update(name="proa-test-x"))
