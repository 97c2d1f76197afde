"""Etags: what changes an etag, and what an etag is compared with."""

import pytest

from proad.errors import (
    EngineConflictError,
    EtagMismatchError,
)
from proad.model import ResourceState, ResourceView, Updated, Verb
from unit.core.inventory.scripted import becomes, box, quiet, until

S = ResourceState


async def test_etag_verb_fails_without_effect_stays(engine, verbs, inventory, resolved):
    before = await inventory.full(resolved.connection, "1")

    async def act(id, on_step):
        raise EngineConflictError("scripted", "refused")

    with pytest.raises(EngineConflictError):
        await verbs.do(Verb.UPDATE, resolved, act)

    assert inventory.entry(resolved.connection, "1").published.etag == before.etag


async def test_etag_inventory_behind_the_engine_is_compared_after_a_refresh(
    engine, verbs, resolved
):
    engine.put(box(labels={"a": "1"}), tell=False)

    with pytest.raises(EtagMismatchError) as caught:
        await verbs.delete(
            resolved, becomes(engine, S.STOPPED), force=True, etag=resolved.resource.etag
        )

    assert caught.value.metadata["etag"] != resolved.resource.etag


async def test_etag_full_view_changed_raises_mismatch(engine, verbs, inventory, resolved):
    """Another actor changed the resource, and the engine has sent no event yet."""
    full = await inventory.full(resolved.connection, "1")
    engine.commands["1"] = "by hand"

    async def act(id, on_step):
        raise AssertionError("the driver was called")

    with pytest.raises(EtagMismatchError) as caught:
        await verbs.do(Verb.UPDATE, resolved, act, etag=full.etag)

    assert caught.value.metadata["etag"] == inventory.entry(resolved.connection, "1").published.etag


async def test_etag_resource_unchanged_is_accepted(engine, verbs, inventory, resolved):
    full = await inventory.full(resolved.connection, "1")

    async def act(id, on_step):
        return "done"

    assert await verbs.do(Verb.UPDATE, resolved, act, etag=full.etag) == "done"


async def test_etag_full_view_changed_by_a_verb_changes_once(engine, verbs, inventory, resolved):
    async def act(id, on_step):
        engine.commands[id] = "second"
        engine.tell(id, reconfigured=True)
        return "done"

    assert await verbs.do(Verb.UPDATE, resolved, act) == "done"
    await quiet(inventory)

    etags = [entry.after.etag for entry in inventory.history.after(0, 100)]
    assert len(set(etags)) == 2
    assert (await inventory.full(resolved.connection, "1")).container.command == ("second",)


async def test_etag_read_between_two_steps_of_an_update_is_outdated(
    engine, verbs, inventory, resolved
):
    read = []

    async def act(id, on_step):
        engine.put(box(name="new"))
        await until(lambda: inventory.entry(resolved.connection, id).published.name == "new")
        read.append(await inventory.full(resolved.connection, id))
        engine.commands[id] = "second"
        engine.tell(id, reconfigured=True)
        return Updated(resource=engine.published(id, ResourceView.FULL))

    await verbs.do(Verb.UPDATE, resolved, act)
    await quiet(inventory)

    now = await inventory.full(resolved.connection, "1")
    assert (now.name, now.container.command) == ("new", ("second",))
    assert now.etag != read[0].etag
