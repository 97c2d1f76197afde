"""Two tenants against every RPC of the contract: nothing of the other's is seen, changed or told."""

from uuid import uuid4

import pytest

from proad.model import Access
from proad.store.teams import TeamStore
from rpc.daemon import RPCS
from rpc.every_rpc import (
    CASES,
    MARK,
    OF_A_NEW_NAME,
    OF_A_RESOURCE,
    OF_EVERYTHING,
    OF_SOMETHING_ELSE,
    World,
    check_everything,
    check_new_name,
    check_resource,
    check_something_else,
)
from rpc.tenants import tenant


@pytest.fixture(params=["own", "team"])
async def world(daemon, request):
    if request.param == "own":
        victim, intruder = await tenant(daemon, MARK), await tenant(daemon, "intruder")
    else:
        teams = TeamStore(daemon.users._database)
        victim = await tenant(daemon, MARK, Access.TEAM, await teams.add(f"{MARK}-team"))
        intruder = await tenant(daemon, "intruder", Access.TEAM, await teams.add("others"))
    box = await victim.container(f"{MARK}-box", labels={MARK: MARK})
    vm = await victim.domain(
        f"{MARK}-vm", start=True, disks=[{"new_volume": {"capacity_bytes": 2**20}}]
    )
    await victim.call("CreateSnapshot", id=vm.id, name=f"{MARK}-snapshot")
    await victim.call("CreateVolume", spec={"name": f"{MARK}-volume", "capacity_bytes": 2**20})
    request_id = str(uuid4())
    await victim.call("PauseResource", id=box.id, request_id=request_id)
    await victim.call("ResumeResource", id=box.id)
    return World(victim=victim, intruder=intruder, box=box, vm=vm, request_id=request_id)


def test_every_rpc_of_the_contract_is_tried():
    assert {name for case in CASES for name in case} == set(RPCS)


@pytest.mark.parametrize("method", OF_A_RESOURCE)
async def test_what_is_somebody_elses_fails_as_what_nobody_has(world, method):
    before = await world.seen()
    await check_resource(world, method)
    assert await world.seen() == before


async def test_delete_with_allow_missing_answers_as_if_nobody_had_it(world):
    before = await world.seen()
    fields = {"id": world.box.id, "force": True, "allow_missing": True}
    assert not (await world.intruder.call("DeleteResource", **fields)).HasField("resource")
    assert await world.seen() == before


@pytest.mark.parametrize("method", OF_SOMETHING_ELSE)
async def test_what_else_is_somebody_elses_fails_as_what_nobody_has(world, method):
    before = await world.seen()
    await check_something_else(world, method)
    assert await world.seen() == before


@pytest.mark.parametrize("method", OF_A_NEW_NAME)
async def test_taken_name_is_told_without_owner_id_or_state(world, method):
    before = await world.seen()
    await check_new_name(world, method)
    assert await world.seen() == before


@pytest.mark.parametrize("method", OF_EVERYTHING)
async def test_answer_has_nothing_of_somebody_elses(world, method):
    before = await world.seen()
    await check_everything(world, method)
    assert await world.seen() == before
