"""Obligations of `Driver.subscribe`: what others do with the engine's own tools."""

from collections.abc import Callable

from contract.follower import Follower
from contract.outsider import DomainOutsider, Outsider
from contract.yard import Yard
from proad.model import Lifetime, Resource, ResourceState, ResourceView, Verb

STOPPED, RUNNING, PAUSED = ResourceState.STOPPED, ResourceState.RUNNING, ResourceState.PAUSED


def in_state(state: ResourceState) -> Callable[[Resource], bool]:
    return lambda resource: resource.state is state


class OutsideContract:
    async def test_a_life_is_heard(self, yard: Yard, outsider: Outsider):
        async with Follower.of(yard.driver) as follower:
            id = await outsider.make(yard.new_name())
            await follower.sees(id, in_state(STOPPED))
            for verb, state in (
                (Verb.START, RUNNING),
                (Verb.PAUSE, PAUSED),
                (Verb.RESUME, RUNNING),
                (Verb.STOP, STOPPED),
            ):
                await outsider.do(verb, id)
                await follower.sees(id, in_state(state))
                if verb is Verb.STOP:
                    await follower.hears(id, "ended")
                assert follower.about(id).ended is (verb is Verb.STOP)
            assert not follower.about(id).removed
            await outsider.do(Verb.DELETE, id)
            await follower.misses(id)
            await follower.hears(id, "removed")

    async def test_a_new_name_is_heard(self, yard: Yard, outsider: Outsider):
        id = (await yard.make()).id
        async with Follower.of(yard.driver) as follower:
            name = yard.new_name()
            await outsider.rename(id, name)
            await follower.sees(id, lambda it: it.name == name)
            assert not follower.about(id).removed

    async def test_other_limits_are_heard(self, yard: Yard, outsider: Outsider):
        id = (await yard.make()).id
        async with Follower.of(yard.driver, ResourceView.FULL) as follower:
            before = follower.known[id]
            await outsider.do(Verb.UPDATE, id)
            await follower.sees(id, lambda it: it != before)

    async def test_a_flood_is_heard_to_its_end(self, yard: Yard, outsider: Outsider):
        resources = [await yard.make(start=True) for _ in range(3)]
        async with Follower.of(yard.driver) as follower:
            for _ in range(10):
                for verb in (Verb.PAUSE, Verb.RESUME):
                    for resource in resources:
                        await outsider.do(verb, resource.id)
            for resource in resources:
                await outsider.do(Verb.PAUSE, resource.id)
            for resource in resources:
                await follower.sees(resource.id, in_state(PAUSED))


class DomainOutsideContract(OutsideContract):
    async def test_autostart_is_heard(self, yard: Yard, outsider: DomainOutsider):
        """Libvirt has no event for it."""
        id = (await yard.make()).id
        async with Follower.of(yard.driver) as follower:
            for on in (True, False):
                await outsider.autostart(id, on=on)
                await follower.sees(id, has_autostart(on=on))

    async def test_what_loses_its_configuration_is_another_one(
        self, yard: Yard, outsider: Outsider
    ):
        """It goes on as a TRANSIENT one."""
        id = (await yard.make(start=True)).id
        async with Follower.of(yard.driver) as follower:
            await outsider.do(Verb.DELETE, id)
            await follower.sees(id, lambda it: it.lifetime is Lifetime.TRANSIENT)
            assert follower.known[id].state is RUNNING
            await follower.hears(id, "removed")
            assert not follower.about(id).ended
            await outsider.do(Verb.STOP, id)
            await follower.misses(id)
            await follower.hears(id, "ended")


def has_autostart(*, on: bool) -> Callable[[Resource], bool]:
    return lambda resource: resource.domain is not None and resource.domain.autostart is on
