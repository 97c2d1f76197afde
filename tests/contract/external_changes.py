"""Obligations of `Driver.subscribe`: external changes, made with the engine's own API."""

from collections.abc import Callable

from contract.driver_watcher import DriverWatcher
from contract.external_actor import DomainExternalActor, ExternalActor
from contract.harness import DriverHarness
from proad.model import Lifetime, Resource, ResourceState, ResourceView, Verb

STOPPED, RUNNING, PAUSED = ResourceState.STOPPED, ResourceState.RUNNING, ResourceState.PAUSED


def in_state(state: ResourceState) -> Callable[[Resource], bool]:
    return lambda resource: resource.state is state


class ExternalChangesContract:
    async def test_external_verbs_lead_to_the_new_state(
        self, harness: DriverHarness, external: ExternalActor
    ):
        async with DriverWatcher.of(harness.driver) as watcher:
            id = await external.make(harness.new_name())
            await watcher.wait_for(id, in_state(STOPPED))
            for verb, state in (
                (Verb.START, RUNNING),
                (Verb.PAUSE, PAUSED),
                (Verb.RESUME, RUNNING),
                (Verb.STOP, STOPPED),
            ):
                await external.do(verb, id)
                await watcher.wait_for(id, in_state(state))
                if verb is Verb.STOP:
                    await watcher.wait_event(id, "ended")
                assert watcher.merged_event(id).ended is (verb is Verb.STOP)
            assert not watcher.merged_event(id).removed
            await external.do(Verb.DELETE, id)
            await watcher.wait_removed(id)
            await watcher.wait_event(id, "removed")

    async def test_external_rename_leads_to_the_new_name(
        self, harness: DriverHarness, external: ExternalActor
    ):
        id = (await harness.make()).id
        async with DriverWatcher.of(harness.driver) as watcher:
            name = harness.new_name()
            await external.rename(id, name)
            await watcher.wait_for(id, lambda it: it.name == name)
            assert not watcher.merged_event(id).removed

    async def test_external_update_leads_to_the_new_limits(
        self, harness: DriverHarness, external: ExternalActor
    ):
        id = (await harness.make()).id
        async with DriverWatcher.of(harness.driver, ResourceView.FULL) as watcher:
            before = watcher.resources[id]
            await external.do(Verb.UPDATE, id)
            await watcher.wait_for(id, lambda it: it != before)

    async def test_external_flood_leads_to_the_last_state(
        self, harness: DriverHarness, external: ExternalActor
    ):
        resources = [await harness.make(start=True) for _ in range(3)]
        async with DriverWatcher.of(harness.driver) as watcher:
            for _ in range(10):
                for verb in (Verb.PAUSE, Verb.RESUME):
                    for resource in resources:
                        await external.do(verb, resource.id)
            for resource in resources:
                await external.do(Verb.PAUSE, resource.id)
            for resource in resources:
                await watcher.wait_for(resource.id, in_state(PAUSED))


class DomainExternalChangesContract(ExternalChangesContract):
    async def test_external_autostart_leads_to_the_new_value(
        self, harness: DriverHarness, external: DomainExternalActor
    ):
        """Libvirt has no event for it."""
        id = (await harness.make()).id
        async with DriverWatcher.of(harness.driver) as watcher:
            for on in (True, False):
                await external.autostart(id, on=on)
                await watcher.wait_for(id, has_autostart(on=on))

    async def test_external_undefine_of_a_running_domain_leads_to_a_transient_one(
        self, harness: DriverHarness, external: ExternalActor
    ):
        """The domain continues as a TRANSIENT one."""
        id = (await harness.make(start=True)).id
        async with DriverWatcher.of(harness.driver) as watcher:
            await external.do(Verb.DELETE, id)
            await watcher.wait_for(id, lambda it: it.lifetime is Lifetime.TRANSIENT)
            assert watcher.resources[id].state is RUNNING
            await watcher.wait_event(id, "removed")
            assert not watcher.merged_event(id).ended
            await external.do(Verb.STOP, id)
            await watcher.wait_removed(id)
            await watcher.wait_event(id, "ended")


def has_autostart(*, on: bool) -> Callable[[Resource], bool]:
    return lambda resource: resource.domain is not None and resource.domain.autostart is on
