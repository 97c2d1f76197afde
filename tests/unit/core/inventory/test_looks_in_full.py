"""Looks that read the FULL view as well: to compare it with what somebody was shown."""

import asyncio

import pytest

from proad.core.inventory import full_reads, looks
from proad.errors import EngineConflictError, EngineTimedOutError
from proad.model import ResourceState as S
from unit.core.inventory.scripted import Gate, box, quiet, until

IDS = [str(number) for number in range(8)]


@pytest.fixture
async def shown(engine, link, follow):
    """An inventory whose resources somebody was shown in full."""
    for id in IDS:
        engine.put(box(id, f"c{id}"))
    inventory = await follow()
    for id in IDS:
        await inventory.full(link, id)
    return inventory


@pytest.fixture
def patience():
    return 0.05


@pytest.fixture
async def hung(engine, shown, patience, monkeypatch):
    """The ids of those that were reconfigured, and hang when they are read in full."""
    monkeypatch.setattr(full_reads, "WITHIN", patience)
    ids = IDS[:6]
    gate = Gate("full")

    async def before(method, id):
        if id in ids:
            await gate(method, id)

    engine.before = before
    for id in ids:
        engine.put(box(id, f"c{id}", S.PAUSED), reconfigured=True)
    await gate.reached.wait()
    return ids, gate


def state(inventory, link, id):
    return inventory.known(link, id).shown.state


@pytest.mark.parametrize("patience", [3600.0])
async def test_those_that_hang_hold_up_no_other(engine, link, shown, hung):
    _, gate = hung

    engine.put(box("7", "c7", S.STOPPED))

    await until(lambda: state(shown, link, "7") is S.STOPPED)
    assert gate.waiting


async def test_the_summary_of_those_that_hang_is_taken(engine, link, shown, hung):
    ids, gate = hung
    etags = {id: shown.known(link, id).shown.etag for id in ids}

    await until(lambda: all(state(shown, link, id) is S.PAUSED for id in ids))

    assert gate.waiting  # for its driver, they hang still
    for id in ids:  # nobody could compare what else has changed
        assert shown.known(link, id).shown.etag != etags[id]


async def test_what_hangs_is_asked_again_for_a_new_event_only(engine, link, shown, hung):
    await quiet(shown)
    asked = engine.asked["full"]
    await asyncio.sleep(4 * looks._LOOK_AGAIN)
    assert (engine.asked["full"], shown.looks(link)._hints) == (asked, {})


async def test_those_that_hang_are_few(engine, link, shown, hung):
    ids, gate = hung
    for _ in range(3):
        for id in ids:
            engine.tell(id, reconfigured=True)
        await until(lambda: engine.heard)
        await quiet(shown)

    assert gate.most <= full_reads.HUNG
    gate.open.set()
    await until(lambda: not shown.looks(link)._full_reads._reading)
    engine.commands["7"] = "second"
    engine.tell("7", reconfigured=True)
    await quiet(shown)
    assert shown.known(link, "7").last_detail.container.command == ("second",)


async def test_others_are_compared_while_some_hang(engine, link, shown, hung, monkeypatch):
    monkeypatch.setattr(full_reads, "HUNG", len(hung[0]) + 1)
    await quiet(shown)
    etag = shown.known(link, "7").shown.etag
    asked = engine.asked["full"]

    for _ in range(3):
        known = await shown.looks(link).look("7", reconfigured=True)

    assert known.shown.etag == etag
    assert engine.asked["full"] == asked + 3


async def test_who_asks_for_a_comparison_hears_that_there_is_none(link, shown, hung):
    etag = shown.known(link, "0").shown.etag
    with pytest.raises(EngineTimedOutError):
        await shown.looks(link).look("0", reconfigured=True)
    assert (await shown.looks(link).look("0")).shown.etag != etag


async def test_a_failure_is_told_and_changes_nothing(engine, link, shown):
    etag = shown.known(link, "0").shown.etag

    async def fail(method, id):
        if method == "full":
            raise EngineConflictError("scripted", "no")

    engine.before = fail
    with pytest.raises(EngineConflictError):
        await shown.looks(link).look("0", reconfigured=True)
    assert shown.known(link, "0").shown.etag == etag


@pytest.mark.parametrize("command", ["first", "second"])
async def test_a_difference_that_no_event_told_of_is_a_change(engine, link, shown, command):
    etag = shown.known(link, "0").shown.etag
    engine.commands["0"] = command

    known = await shown.looks(link).look("0", reconfigured=True)

    assert (known.shown.etag == etag) == (command == "first")
    again = await shown.looks(link).look("0", reconfigured=True)
    assert again.shown.etag == shown.known(link, "0").shown.etag


async def test_a_change_while_it_is_compared_is_not_lost(engine, link, shown):
    """Somebody may read the new one before it is compared with the old one."""
    etag = shown.known(link, "0").shown.etag
    first = engine.after = Gate("full")
    engine.tell("0", reconfigured=True)
    await first.reached.wait()
    engine.commands["0"] = "second"
    engine.tell("0", reconfigured=True)
    await until(lambda: "0" in shown.looks(link)._hints)
    engine.before = Gate("summary")
    first.open.set()
    await engine.before.reached.wait()

    await shown.full(link, "0")
    engine.before.open.set()
    await quiet(shown)

    assert shown.known(link, "0").shown.etag != etag


async def test_what_nobody_was_shown_is_not_read(engine, link, follow):
    engine.put(box())
    inventory = await follow()
    etag = inventory.known(link, "1").shown.etag

    known = await inventory.looks(link).look("1", reconfigured=True)

    assert (known.shown.etag, engine.asked["full"]) == (etag, 0)


async def test_what_is_gone_has_no_full_view(engine, link, shown):
    engine.take("0", tell=False)

    assert await shown.looks(link).look("0", reconfigured=True) is None


async def test_none_is_read_after_the_end(link, shown, hung):
    _, gate = hung
    await quiet(shown)
    assert gate.waiting

    await shown.looks(link).close()

    assert not gate.waiting
