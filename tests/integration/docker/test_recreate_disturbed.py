"""What others do in the middle of a recreation."""

import asyncio
import signal
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import docker
import pytest

from eventually import eventually
from integration.core_harness import CoreHarness
from integration.docker.counting_proxy import CountingProxy
from integration.docker.engine_socket import engine_socket
from integration.docker.private_engine import PrivateEngine
from integration.docker.workloads import DEAF, IMAGE, LABEL, OBEDIENT, Make
from proad.core.actor import act_for
from proad.drivers.docker import DockerDriver
from proad.errors import AlreadyExistsError, CapabilityMissingError, InvalidArgumentError, ProaError
from proad.model import (
    ContainerSpec,
    Footprint,
    Lifetime,
    Mount,
    NetworkAttachment,
    ResourceState,
    RestartPolicy,
    RestartPolicyMode,
    StateReason,
    Subject,
    VolumeMount,
)
from resource_details import container_of, spec_of
from updating import container_update

pytestmark = pytest.mark.docker

ALWAYS = RestartPolicy(mode=RestartPolicyMode.ALWAYS)
NOT_THERE = ("/no/such/program",)


def names(raw: docker.APIClient, token: str) -> list[str]:
    found = raw.containers(all=True, filters={"label": f"{LABEL}={token}"})
    return sorted(name for each in found for name in each["Names"])


class ThiefProxy(CountingProxy):
    """Has somebody else take a name right before the new container is to get it."""

    def __init__(self, socket: Path, raw: docker.APIClient, name: str, token: str) -> None:
        super().__init__(engine_socket(), socket)
        self._raw = raw
        self._name = name
        self._token = token

    def request(self, chunk: bytes) -> bytes:
        if f"/rename?name={self._name} ".encode() in chunk and self._name:
            name, self._name = self._name, ""
            self._raw.create_container(IMAGE, labels={LABEL: self._token}, name=name)
        return chunk


async def test_recreate_whose_name_is_taken_meanwhile_tells_where_the_old_one_is(
    make: Make, raw: docker.APIClient, token: str, folder: Path
):
    made = await make(*OBEDIENT, restart_policy=ALWAYS)
    async with (
        ThiefProxy(folder / "p.sock", raw, made.name, token).serving() as proxy,
        DockerDriver(proxy.url) as driver,
    ):
        told: list[Footprint] = []

        async def tell(footprint: Footprint) -> None:
            told.append(footprint)

        with pytest.raises(AlreadyExistsError) as caught:
            await driver.recreate_container(made.id, spec_of(made), announce=tell)
        kept = (await driver.get_resource(made.id)).name
        assert names(raw, token) == sorted([f"/{made.name}", f"/{kept}"])
        assert caught.value.metadata["left"] == f"container {kept}"
        assert kept in caught.value.message
        old = await driver.get_resource(made.id)
        assert old.state is ResourceState.RUNNING
        assert spec_of(old) == replace(spec_of(made), name=kept)
        # What somebody makes of it later is nobody else's business.
        raw.stop(made.id, timeout=0)
        assert await driver.undo_created(told[0], force=True) == ()
        now = await driver.get_resource(made.id)
        assert (now.name, now.state) == (kept, ResourceState.STOPPED)


@pytest.mark.parametrize("works", [True, False])
async def test_recreate_of_a_container_that_ends_meanwhile_starts_no_old_one(
    driver: DockerDriver, make: Make, raw: docker.APIClient, token: str, *, works: bool
):
    made = await make(*DEAF)

    async def end(_footprint: Footprint) -> None:
        raw.kill(made.id)
        raw.wait(made.id)

    before = raw.inspect_container(made.id)["State"]["StartedAt"]
    if works:
        again = (await driver.recreate_container(made.id, spec_of(made), announce=end)).resource
        assert (again.name, again.state) == (made.name, ResourceState.RUNNING)
    else:
        spec = replace(spec_of(made), entrypoint=NOT_THERE)
        with pytest.raises(ProaError):
            await driver.recreate_container(made.id, spec, announce=end)
        old = raw.inspect_container(made.id)["State"]
        assert (old["Status"], old["StartedAt"]) == ("exited", before)
    assert names(raw, token) == [f"/{made.name}"]


async def test_recreate_that_fails_keeps_policy_and_nameless_volumes(
    driver: DockerDriver, make: Make, raw: docker.APIClient, token: str
):
    mounts = (Mount(target="/data", volume=VolumeMount()),)
    policy = RestartPolicy(mode=RestartPolicyMode.ON_FAILURE, max_retries=3)
    made = await make(
        "sh",
        "-c",
        "echo kept >> /data/f; exec sleep 3600",
        mounts=mounts,
        restart_policy=policy,
        stop_signal="SIGKILL",
    )
    for _ in range(2):
        with pytest.raises(ProaError):
            await driver.recreate_container(made.id, replace(spec_of(made), entrypoint=NOT_THERE))
    now = await driver.get_resource(made.id)
    assert spec_of(now) == spec_of(made)
    assert container_of(now).mounts == container_of(made).mounts
    ran = raw.exec_create(made.id, ["cat", "/data/f"])
    assert raw.exec_start(ran["Id"]) == b"kept\nkept\nkept\n"


async def test_recreate_as_transient_with_nameless_volumes_is_refused(
    driver: DockerDriver, make: Make, raw: docker.APIClient, token: str
):
    made = await make(*DEAF, start=False, mounts=(Mount(target="/data", volume=VolumeMount()),))
    with pytest.raises(CapabilityMissingError, match="nameless volumes"):
        await driver.recreate_container(
            made.id, replace(spec_of(made), lifetime=Lifetime.TRANSIENT)
        )
    assert await driver.get_resource(made.id) == made
    assert names(raw, token) == [f"/{made.name}"]


async def test_recreate_of_a_container_whose_network_others_joined_warns(
    driver: DockerDriver, make: Make, raw: docker.APIClient
):
    provider = await make(*OBEDIENT)
    joined = await make(
        *OBEDIENT, networks=(NetworkAttachment(network=f"container:{provider.id}"),)
    )
    made = await driver.recreate_container(provider.id, spec_of(provider))
    (warning,) = made.warnings
    assert joined.name in warning
    # Of that network, it could neither be made again nor be put back.
    with pytest.raises(InvalidArgumentError, match="could be joined"):
        await driver.recreate_container(joined.id, spec_of(joined))
    assert await driver.get_resource(joined.id) == joined
    network = f"container:{provider.name}"
    assert network in warning
    spec = replace(spec_of(joined), networks=(NetworkAttachment(network=network),))
    again = (await driver.recreate_container(joined.id, spec)).resource
    assert (again.name, again.state) == (joined.name, ResourceState.RUNNING)
    mode = raw.inspect_container(again.id)["HostConfig"]["NetworkMode"]
    assert mode == f"container:{made.resource.id}"


async def test_recreate_is_its_callers_doing(
    driver: DockerDriver, make: Make, raw: docker.APIClient
):
    act_for(Subject("ann"))
    made = await make(*OBEDIENT)
    async with asyncio.timeout(60), CoreHarness.of(driver) as core:
        answer = await core.recreator.recreate(made.id, container_update(), etag="")
        again = answer.resource.id
        await core.wait_for(made.id, "gone")
        await core.inventory.idle()
        assert core.changes_by_others(made.id) == core.changes_of(made.id)[:1]  # its create
        assert core.changes_by_others(again) == []
        assert core.changes_of(again)[-1] == ("RUNNING", "API", "ann")
        assert [each.observed.id for each in core.inventory.named(made.name)] == [again]


@pytest.mark.parametrize("undone", [True, False])
async def test_engine_that_starts_again_does_not_bring_both_containers_back(
    engine: PrivateEngine, *, undone: bool
):
    async with DockerDriver(engine.url, timeout=timedelta(seconds=20)) as driver:
        engine.start()
        await eventually(lambda: PrivateEngine.answers(driver), within=30)
        await engine.import_image()
        none = (NetworkAttachment(network="none"),)
        spec = ContainerSpec(
            image=IMAGE, name="again", command=OBEDIENT, networks=none, restart_policy=ALWAYS
        )
        made = (await driver.create_container(spec, start=True)).resource
        told: list[Footprint] = []

        async def tell(footprint: Footprint) -> None:
            told.append(footprint)

        def step(text: str, _percent: int | None = None) -> None:
            if text.startswith("starting"):
                engine.signal(signal.SIGTERM)

        with pytest.raises(ProaError):
            await driver.recreate_container(made.id, spec, announce=tell, on_step=step)
        engine.start()
        await eventually(lambda: PrivateEngine.answers(driver), within=30)
        there = {each.id: each for each in await driver.list_resources()}
        assert len(there) == 2
        assert there[made.id].state is ResourceState.STOPPED
        (new,) = there.keys() - {made.id}
        if undone:
            found = await driver.find_created(told[0])
            assert found is not None
            assert not found.complete
            assert await driver.undo_created(told[0]) == ()
        else:
            await driver.start(new)
            found = await driver.find_created(told[0])
            assert found is not None
            assert found.complete
        (left,) = await driver.list_resources()
        assert left.id == (made.id if undone else new)
        assert (left.name, left.state) == ("again", ResourceState.RUNNING)
        assert left.state_detail.reason is not StateReason.NEVER_STARTED
        assert spec_of(await driver.get_resource(left.id)) == spec_of(made)
