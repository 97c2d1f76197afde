"""What interrupted requests are judged to be, on an engine that has outlived the daemon."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from eventually import eventually
from proad.core.engine_connection import EngineConnection
from proad.core.hosts import Hosts
from proad.core.inventory import Inventory
from proad.core.recovery import RecoveryTiming, RequestJudge
from proad.core.removals import Removals, RemovalTiming
from proad.drivers.memory import MemoryDriver
from proad.errors import EngineUnreachableError, Reason
from proad.model import (
    Action,
    ContainerSpec,
    DomainSpec,
    Footprint,
    Intent,
    ResourceState,
    SnapshotSpec,
    VolumeSpec,
)
from proad.ports.requests import RequestKey, RequestRecord
from updating import container_update

IMAGE = "proa-test/busybox:1"
RUNNING, STOPPED, PAUSED = ResourceState.RUNNING, ResourceState.STOPPED, ResourceState.PAUSED
DOMAIN = DomainSpec(name="vm", memory_bytes=64 * 2**20)
KEY = RequestKey("user", "11111111-1111-4111-8111-111111111111")


@pytest.fixture
async def driver():
    async with MemoryDriver() as driver:
        yield driver


@pytest.fixture
def connection(driver):
    return EngineConnection("local", driver)


@pytest.fixture
def hosts(connection):
    return Hosts(["local"], [connection])


@pytest.fixture
async def removals(hosts):
    removals = Removals(hosts, RemovalTiming(first_interval=0.005, longest_interval=0.01))
    async with removals.watching([]):
        yield removals


@pytest.fixture
async def inventory(connection):
    await connection.probe()
    inventory = Inventory([connection])
    async with inventory.following():
        yield inventory


@pytest.fixture
def judge(hosts, inventory, removals):
    timing = RecoveryTiming(settles_within=0.05, interval=0.01)
    judge = RequestJudge(hosts, inventory, removals, timing)

    async def judge_intent(action, **fields):
        fields = {"host": "local", "driver": "memory"} | fields
        intent = Intent(action=action, **fields)
        now = datetime.now(UTC)
        return await judge.judge(
            RequestRecord(key=KEY, method="/x", digest=b"", start_time=now, intent=intent)
        )

    return judge_intent


class Footprints:
    """Takes the footprint of a create, which may wait for the test then."""

    def __init__(self):
        self.last = None
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()

    async def __call__(self, footprint):
        self.last = footprint
        self.begun.set()
        await self.go_on.wait()


@pytest.fixture
def footprints():
    return Footprints()


async def container(driver, footprints, *, start=True):
    footprints.go_on.set()
    spec = ContainerSpec(image=IMAGE, name="web")
    return (await driver.create_container(spec, start=start, announce=footprints)).resource


async def test_judge_create_that_is_complete_succeeds_with_the_summary(driver, judge, footprints):
    made = await container(driver, footprints)

    verdict = await judge(Action.CREATE_CONTAINER, footprint=footprints.last)

    assert verdict.error is None
    assert (verdict.about.id, verdict.about.engine.host) == (made.id, "local")
    assert (verdict.about.state, verdict.about.container.env) == (RUNNING, {})


async def test_judge_create_that_was_never_started_is_undone(driver, judge, footprints):
    await container(driver, footprints, start=False)
    half = footprints.last
    wanted = replace(half, start=True)

    assert await judge(Action.CREATE_CONTAINER, footprint=wanted) is None  # it is being undone
    verdict = await judge(Action.CREATE_CONTAINER, footprint=wanted)

    assert (verdict.error.reason, verdict.error.metadata["effect"]) == (Reason.INTERRUPTED, "none")
    assert await driver.list_resources() == []


async def test_judge_create_that_appears_later_is_removed(driver, judge, footprints):
    spec = ContainerSpec(image=IMAGE, name="web")
    late = asyncio.create_task(driver.create_container(spec, start=True, announce=footprints))
    await footprints.begun.wait()

    verdict = await judge(Action.CREATE_CONTAINER, footprint=footprints.last)
    assert verdict.error.metadata["effect"] == "none"
    footprints.go_on.set()
    await late

    async def gone():
        return await driver.list_resources() == []

    await eventually(gone)


async def test_watching_creates_that_failed_before_a_restart_removes_them(
    driver, hosts, footprints
):
    made = await container(driver, footprints)
    other = (await driver.create_container(ContainerSpec(image=IMAGE), start=True)).resource
    intent = Intent(
        action=Action.CREATE_CONTAINER, host="local", driver="memory", footprint=footprints.last
    )
    again = Removals(hosts, RemovalTiming(first_interval=0.005, longest_interval=0.01))

    async with again.watching([(intent, datetime.now(UTC))]):

        async def gone():
            return [each.id for each in await driver.list_resources()] == [other.id]

        await eventually(gone)
    assert made.id != other.id


@pytest.mark.parametrize(
    ("action", "state", "wanted", "succeeds"),
    [
        (Action.START, RUNNING, RUNNING, True),
        (Action.START, STOPPED, RUNNING, False),
        (Action.STOP, STOPPED, STOPPED, True),
        (Action.STOP, RUNNING, STOPPED, False),
        (Action.PAUSE, PAUSED, PAUSED, True),
        (Action.PAUSE, RUNNING, PAUSED, False),
        (Action.RESUME, RUNNING, RUNNING, True),
        (Action.RESUME, PAUSED, RUNNING, False),
        (Action.RESTART, RUNNING, RUNNING, False),
        (Action.REVERT_SNAPSHOT, RUNNING, None, False),
        (Action.PRUNE_CONTAINERS, STOPPED, None, False),
        (Action.DELETE, STOPPED, None, False),
    ],
)
async def test_judge_verb_succeeds_if_its_state_is_there(
    driver, judge, footprints, action, state, wanted, succeeds
):
    made = await container(driver, footprints, start=state is not STOPPED)
    if state is PAUSED:
        await driver.pause(made.id)

    verdict = await judge(action, id=made.id, wanted=wanted)

    assert (verdict.error is None) is succeeds
    if succeeds:
        assert (verdict.about.id, verdict.about.state) == (made.id, state)
    else:
        assert verdict.error.metadata["effect"] == "unknown"
    assert (await driver.get_resource(made.id)).state is state  # nothing is done again


@pytest.mark.parametrize("succeeds", [True, False])
async def test_judge_update_succeeds_if_its_values_are_there(
    driver, judge, inventory, connection, footprints, succeeds
):
    made = await container(driver, footprints)
    update = container_update(name="other", memory_bytes=2**30)
    if succeeds:
        await driver.update(made.id, update)
    await inventory.refresh(connection, made.id, reconfigured=True)

    verdict = await judge(Action.UPDATE, id=made.id, changes=update.digests())

    assert (verdict.error is None) is succeeds
    if succeeds:
        assert verdict.about.name == "other"


@pytest.mark.parametrize(
    ("action", "succeeds"),
    [(Action.DELETE, True), (Action.STOP, True), (Action.START, False), (Action.PAUSE, False)],
)
async def test_judge_verb_of_a_resource_that_is_gone(judge, action, succeeds):
    verdict = await judge(action, id="0" * 64, wanted=STOPPED)

    assert (verdict.error is None) is succeeds


async def test_judge_deletes_of_what_is_gone_succeed(driver, judge):
    made = await driver.create_domain(DOMAIN)
    await driver.create_snapshot(made.id, SnapshotSpec(name="one"))
    await driver.create_volume(VolumeSpec(name="disk", capacity_bytes=2**20))

    async def verdicts():
        return [
            (await judge(Action.DELETE_SNAPSHOT, id=made.id, name="one")).error is None,
            (await judge(Action.DELETE_VOLUME, name="disk", pool="default")).error is None,
        ]

    assert await verdicts() == [False, False]
    await driver.delete_snapshot(made.id, "one")
    await driver.delete_volume("default", "disk")
    assert await verdicts() == [True, True]


async def test_judge_with_a_lost_engine_tells_nothing(driver, connection, judge, footprints):
    made = await container(driver, footprints)
    driver.lose()
    await connection.probe()

    for look in (
        judge(Action.START, id=made.id, wanted=RUNNING),
        judge(Action.CREATE_CONTAINER, footprint=footprints.last),
    ):
        with pytest.raises(EngineUnreachableError):
            await look


async def test_judge_on_a_host_that_is_not_configured_any_more_is_unknown(judge):
    verdict = await judge(Action.START, id="1", host="elsewhere", wanted=RUNNING)

    assert verdict.error.metadata["effect"] == "unknown"


async def test_removals_of_many_creates_ask_an_engine_for_one_at_a_time():
    """A user may have a hundred thousand failed creates a day; all are looked for at a start."""
    asked = _Asked()
    connection = EngineConnection("local", asked)
    await connection.probe()
    now = datetime.now(UTC)
    intents = [
        Intent(
            action=Action.CREATE_CONTAINER,
            host="local",
            driver="memory",
            footprint=Footprint(mark=f"{number}", create_time=now),
        )
        for number in range(50)
    ]
    timing = RemovalTiming(first_interval=0.005, longest_interval=0.01)
    removals = Removals(Hosts(["local"], [connection]), timing)
    async with removals.watching([(intent, now) for intent in intents]):
        await eventually(lambda: _all_of(asked, intents))

    assert asked.most == 1


class _Asked(MemoryDriver):
    """Counts how many creates it is asked for at a time."""

    def __init__(self):
        super().__init__()
        self.marks, self.now, self.most = set(), 0, 0

    async def find_created(self, footprint):
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        self.now -= 1
        self.marks.add(footprint.mark)


async def _all_of(asked, intents):
    return len(asked.marks) == len(intents)
