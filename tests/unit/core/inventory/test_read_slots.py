"""Reads that callers wait for, among thousands that only events asked for."""

import asyncio
import gc

import pytest

from proad.core.inventory.read_slots import ReadSlots
from rpc.loop_time import longest_callback
from unit.core.inventory.scripted import Gate, box, quiet, until

MANY = 100
# Of a loss; the longest callback took 70 ms when these were marked in one go.
LOST = 8_000
MOST_SECONDS = 0.020
TRIES = 3
# What counts is the processor time of a callback: a busy machine may take long for all of them.
AMPLE = 300


class Recorder:
    """Holds up the reads of a view and records their order."""

    def __init__(self, method):
        self.gate = Gate(method)
        self.ids = []

    async def __call__(self, method, id):
        if method == self.gate.method:
            self.ids.append(id)
        await self.gate(method, id)


@pytest.mark.parametrize("method", ["summary", "full"])
@pytest.mark.parametrize("id", ["99", "new"])
async def test_refresh_by_a_caller_is_read_before_what_events_marked(
    engine, connection, follow, method, id
):
    for number in range(MANY):
        engine.put(box(str(number), f"c{number}"))
    inventory = await follow(full_within=60)
    for number in range(MANY):
        await inventory.full(connection, str(number))
    recorder = engine.before = Recorder(method)
    for number in range(MANY):
        engine.tell(str(number), reconfigured=True)
    await recorder.gate.reached.wait()
    if id == "new":
        engine.put(box(id, id), tell=False)

    refresh = asyncio.create_task(inventory.refresh(connection, id, reconfigured=True))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    recorder.gate.open.set()
    await refresh

    assert len(recorder.ids) < MANY // 2
    await quiet(inventory)


async def test_slots_are_given_to_awaited_reads_and_others_in_turns():
    slots, order = ReadSlots(1), []

    async def read(id, *, awaited):
        async with slots.slot(id, awaited=awaited):
            order.append(id)
            await asyncio.sleep(0)

    others = [read(f"other {number}", awaited=False) for number in range(4)]
    awaited = [read(f"awaited {number}", awaited=True) for number in range(3)]
    await asyncio.gather(*others, *awaited)

    assert order == [
        "other 0",
        "awaited 0",
        "other 1",
        "awaited 1",
        "other 2",
        "awaited 2",
        "other 3",
    ]


async def test_slots_of_cancelled_reads_are_free_again():
    slots = ReadSlots(1)
    inside = asyncio.Event()

    async def read(id):
        async with slots.slot(id, awaited=False):
            inside.set()
            await asyncio.Event().wait()

    reads = [asyncio.create_task(read(str(number))) for number in range(3)]
    await inside.wait()
    reads[1].cancel()
    reads[0].cancel()
    inside.clear()
    await inside.wait()
    reads[2].cancel()
    await asyncio.gather(*reads, return_exceptions=True)

    async with asyncio.timeout(1), slots.slot("3", awaited=False):
        pass


@pytest.fixture
def no_collector():
    """The daemon's collector has a time of its own."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
async def test_resync_with_many_full_views_known_takes_at_most_20_ms_in_one_callback(
    engine, connection, follow, monkeypatch
):
    for number in range(LOST):
        engine.put(box(str(number), f"c{number}"))
    inventory = await follow(full_within=AMPLE, ready_within=AMPLE)
    for number in range(LOST):
        await inventory.full(connection, str(number))
    taken = []
    for _ in range(TRIES):
        with longest_callback(monkeypatch) as longest:
            engine.break_streams()
            await until(lambda: not inventory.synced(connection), AMPLE)
            await inventory.ready(connection)
            await quiet(inventory, AMPLE)
        taken.append((longest.seconds, longest.what))
        if longest.seconds < MOST_SECONDS:
            break
    assert min(taken)[0] < MOST_SECONDS, min(taken)
