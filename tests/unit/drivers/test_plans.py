"""Plans of updates: what is planned is what the update does, of random updates."""

import asyncio
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from proad.drivers.memory import MemoryDriver
from proad.errors import ProaError
from proad.model import (
    ChangeEffect,
    ContainerResources,
    ContainerSpec,
    DomainSpec,
    Lifetime,
    ResourceUpdate,
    RestartPolicy,
    RestartPolicyMode,
    StopMode,
    StopOptions,
)

IMAGE = "proa-test/busybox:1"
MIB = 2**20
CONTAINER = ContainerSpec(image=IMAGE, name="it")
DOMAIN = DomainSpec(name="it", memory_bytes=128 * MIB, vcpus=2)
NAMES = st.sampled_from(["it", "other", "taken"])
LABELS = st.dictionaries(st.sampled_from("ab"), st.sampled_from("xy"))
CONTAINER_SPECS = st.builds(
    replace,
    st.just(CONTAINER),
    name=NAMES,
    labels=LABELS,
    env=LABELS,
    command=st.just(("sleep", "1")),
    restart_policy=st.builds(RestartPolicy, mode=st.sampled_from(list(RestartPolicyMode)[:4])),
    resources=st.builds(ContainerResources, memory_bytes=st.sampled_from([None, 0, 64 * MIB])),
)
DOMAIN_SPECS = st.builds(
    replace,
    st.just(DOMAIN),
    name=NAMES,
    labels=LABELS,
    title=st.sampled_from(["", "T"]),
    memory_bytes=st.sampled_from([64 * MIB, 128 * MIB, 256 * MIB]),
    vcpus=st.sampled_from([1, 2, 4]),
    autostart=st.booleans(),
)
PATHS = {
    ContainerSpec: ["name", "labels", "env", "command", "restart_policy", "resources.memory_bytes"],
    DomainSpec: ["name", "labels", "title", "memory_bytes", "vcpus", "autostart", "disks"],
}


@st.composite
def updates(draw, specs=CONTAINER_SPECS | DOMAIN_SPECS):
    spec = draw(specs)
    paths = draw(st.sets(st.sampled_from(PATHS[type(spec)])))
    return ResourceUpdate(spec=spec, paths=frozenset(paths))


async def made(driver, kind, state, lifetime):
    """Make a resource named "it", and another that has the name "taken"."""
    if kind is ContainerSpec:
        await driver.create_container(replace(CONTAINER, name="taken"))
        container = replace(CONTAINER, lifetime=lifetime)
        created = await driver.create_container(container, start=state != "stopped")
        id = created.resource.id
    else:
        await driver.create_domain(replace(DOMAIN, name="taken"))
        spec = replace(DOMAIN, lifetime=lifetime)
        id = (await driver.create_domain(spec, start=state != "stopped")).id
    if state == "paused":
        await driver.pause(id)
    if state == "saved" and kind is DomainSpec and lifetime is Lifetime.PERSISTENT:
        await driver.stop(id, StopOptions(mode=StopMode.SAVE))
    return id


async def reason_of(call):
    """Return the result of a call and the reason why it failed, one of which is None."""
    try:
        return await call, None
    except ProaError as error:
        return None, error.reason


@settings(max_examples=1000, deadline=None)
@given(
    kind=st.sampled_from([ContainerSpec, DomainSpec]),
    update=updates(),
    state=st.sampled_from(["stopped", "running", "paused", "saved"]),
    lifetime=st.sampled_from(list(Lifetime)),
)
def test_plan_of_an_update_is_what_the_update_does(kind, update, state, lifetime):
    async def compare():
        driver = MemoryDriver()
        id = await made(driver, kind, state, lifetime)
        before = await driver.get_resource(id)

        plan, refused = await reason_of(driver.plan_update(id, update))

        assert await driver.get_resource(id) == before
        if plan is not None and plan.refusal is not None:
            refused = plan.refusal.reason
        updated, failed = await reason_of(driver.update(id, update))
        assert failed == refused
        if updated is None:
            assert await driver.get_resource(id) == before
            return
        assert plan.effects.keys() == update.paths
        assert updated.restart_required == plan.restart_required
        shown = updated.resource
        for path, effect in plan.effects.items():
            if shown.domain is not None and path in {"memory_bytes", "vcpus", "autostart"}:
                live = getattr(shown.domain, path) == getattr(update.spec, path)
                assert live == (effect is ChangeEffect.LIVE), path

    asyncio.run(compare())
