"""Etags: what changes one, and what one is compared with."""

import pytest

from proad.errors import (
    EngineConflictError,
    EtagMismatchError,
)
from proad.model import ResourceState, ResourceView, Updated, Verb
from unit.core.inventory.scripted import becomes, box, quiet, until

S = ResourceState


async def test_a_failure_that_changed_nothing_leaves_the_etag(engine, verbs, inventory, found):
    before = await inventory.full(found.connection, "1")

    async def act(id, on_step):
        raise EngineConflictError("scripted", "refused")

    with pytest.raises(EngineConflictError):
        await verbs.do(Verb.UPDATE, found, act)

    assert inventory.entry(found.connection, "1").published.etag == before.etag


async def test_an_etag_is_checked_on_what_is_read_now(engine, verbs, found):
    engine.put(box(labels={"a": "1"}), tell=False)

    with pytest.raises(EtagMismatchError) as caught:
        await verbs.delete(found, becomes(engine, S.STOPPED), force=True, etag=found.resource.etag)

    assert caught.value.metadata["etag"] != found.resource.etag


async def test_an_etag_covers_what_only_the_full_view_shows(engine, verbs, inventory, found):
    """Somebody changed it by hand, and the engine has not told of it yet."""
    full = await inventory.full(found.connection, "1")
    engine.commands["1"] = "by hand"

    async def act(id, on_step):
        raise AssertionError("it was asked")

    with pytest.raises(EtagMismatchError) as caught:
        await verbs.do(Verb.UPDATE, found, act, etag=full.etag)

    assert caught.value.metadata["etag"] == inventory.entry(found.connection, "1").published.etag


async def test_an_etag_of_what_did_not_change_is_good(engine, verbs, inventory, found):
    full = await inventory.full(found.connection, "1")

    async def act(id, on_step):
        return "done"

    assert await verbs.do(Verb.UPDATE, found, act, etag=full.etag) == "done"


async def test_what_a_summary_does_not_show_changes_the_etag_once(engine, verbs, inventory, found):
    async def act(id, on_step):
        engine.commands[id] = "second"
        engine.tell(id, reconfigured=True)
        return "done"

    assert await verbs.do(Verb.UPDATE, found, act) == "done"
    await quiet(inventory)

    etags = [entry.after.etag for entry in inventory.journal.after(0, 100)]
    assert len(set(etags)) == 2
    assert (await inventory.full(found.connection, "1")).container.command == ("second",)


async def test_an_update_of_several_steps_leaves_no_etag_good(engine, verbs, inventory, found):
    """Of what was read between two of them."""
    read = []

    async def act(id, on_step):
        engine.put(box(name="new"))
        await until(lambda: inventory.entry(found.connection, id).published.name == "new")
        read.append(await inventory.full(found.connection, id))
        engine.commands[id] = "second"
        engine.tell(id, reconfigured=True)
        return Updated(resource=engine.published(id, ResourceView.FULL))

    await verbs.do(Verb.UPDATE, found, act)
    await quiet(inventory)

    now = await inventory.full(found.connection, "1")
    assert (now.name, now.container.command) == ("new", ("second",))
    assert now.etag != read[0].etag
