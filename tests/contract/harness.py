"""Creates the workloads of a contract suite on any driver, and deletes them at the end."""

import secrets
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, ClassVar, Self

import pytest

from eventually import eventually
from proad.errors import ResourceNotFoundError, VolumeNotFoundError
from proad.model import (
    DeleteOptions,
    EngineRef,
    Lifetime,
    Resource,
    ResourceKind,
    ResourceState,
    ResourceUpdate,
    ResourceView,
    RestartMode,
    RestartOptions,
    Snapshot,
    SnapshotSpec,
    StopMode,
    StopOptions,
    Verb,
)
from proad.model.verbs import LEGAL, allowed_verbs
from proad.ports import Containers, Domains, Driver, Recreation, Snapshots, Updates, Volumes
from updating import container_update, domain_update

PREFIX = "proa-test-"
FORCE = StopOptions(mode=StopMode.FORCE)
SCRAP = DeleteOptions(force=True, delete_snapshots=True, delete_saved_state=True)
SNAPSHOT = "before"
# How often libvirt is asked for what it has no event of.
SOON = timedelta(seconds=1)


class DriverHarness(ABC):
    """Creates workloads of one kind on one driver and brings them into states.

    Attributes:
        kind: kind of all workloads.
        states: states that `bring_to` can reach.
        grace: time within which a workload that is ready follows a graceful stop.
        patience: grace period for a workload that ignores graceful stops.
    """

    kind: ClassVar[ResourceKind]
    states: ClassVar[tuple[ResourceState, ...]]
    grace: ClassVar[timedelta]
    patience: ClassVar[timedelta] = timedelta(seconds=1)

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._names: list[str] = []

    @property
    def driver(self) -> Driver:
        return self._driver

    @property
    def containers(self) -> Containers:
        assert isinstance(self._driver, Containers)
        return self._driver

    @property
    def domains(self) -> Domains:
        assert isinstance(self._driver, Domains)
        return self._driver

    @property
    def snapshots(self) -> Snapshots:
        assert isinstance(self._driver, Snapshots)
        return self._driver

    @property
    def updates(self) -> Updates:
        assert isinstance(self._driver, Updates)
        return self._driver

    @property
    def volumes(self) -> Volumes:
        assert isinstance(self._driver, Volumes)
        return self._driver

    @classmethod
    @asynccontextmanager
    async def open(cls, driver: Driver) -> AsyncIterator[Self]:
        """Return a harness; delete at the end every workload and volume with a name of the harness."""
        async with driver:
            await driver.probe()
            harness = cls(driver)
            try:
                yield harness
            finally:
                await harness.delete_all()

    def new_name(self) -> str:
        """Return a unique name; whatever has the name is deleted at the end."""
        name = PREFIX + secrets.token_hex(4)
        self._names.append(name)
        return name

    def has_named(self, name: str) -> bool:
        """Return whether `name` is from `new_name`, or begins with one."""
        return bool(self._names) and name.startswith(tuple(self._names))

    async def delete_all(self) -> None:
        """Delete every workload and volume with a name of the harness."""
        for resource in await self._driver.list_resources():
            if resource.name.startswith(tuple(self._names)) and self._names:
                try:
                    await self._driver.delete(resource.id, SCRAP)
                except ResourceNotFoundError:  # a TRANSIENT resource may be gone by itself
                    continue
        if isinstance(self._driver, Volumes) and self._names:
            volumes = await self._driver.list_volumes()
            # Delete overlays before the volumes that they are based on.
            for volume in sorted(volumes, key=lambda volume: not volume.base_path):
                if volume.name.startswith(tuple(self._names)):
                    try:
                        await self._driver.delete_volume(volume.pool, volume.name)
                    except VolumeNotFoundError:
                        continue

    @abstractmethod
    async def make(
        self,
        *,
        name: str = "",
        start: bool = False,
        deaf: bool = False,
        slow: bool = False,
        lifetime: Lifetime = Lifetime.PERSISTENT,
        labels: dict[str, str] | None = None,
    ) -> Resource:
        """Create a workload that follows a graceful stop: late if `slow`, never if `deaf`."""

    async def ready(self, resource: Resource) -> Resource:
        """Wait until a running workload can receive a graceful stop."""
        return resource

    async def running(self, **how: Any) -> Resource:
        """Create and start a workload, and wait until it is ready."""
        return await self.ready(await self.make(start=True, **how))

    async def blank(self, state: ResourceState) -> Resource:
        """Create a STOPPED workload that `bring_to` can bring into `state`."""
        return await self.make()

    async def bring_to(self, state: ResourceState, resource: Resource | None = None) -> Resource:
        """Bring a blank workload, or a new one, into a state and return its FULL view."""
        id = (resource or await self.blank(state)).id
        if state is not ResourceState.STOPPED:
            await self._driver.start(id)
        match state:
            case ResourceState.STOPPED | ResourceState.RUNNING:
                pass
            case ResourceState.PAUSED:
                await self._driver.pause(id)
            case ResourceState.SAVED:
                await self._driver.stop(id, StopOptions(mode=StopMode.SAVE))
            case _:
                raise AssertionError(f"no way to {state} is known")
        return await self._driver.get_resource(id)

    async def is_gone(self, id: str) -> bool:
        """Return whether neither a list nor a get finds the id.

        Docker lists a container for a moment after an inspect of it has failed.
        """

        async def unlisted() -> bool:
            return all(resource.id != id for resource in await self._driver.list_resources())

        try:
            await eventually(unlisted, within=10)
        except TimeoutError:
            return False
        with pytest.raises(ResourceNotFoundError):
            await self._driver.get_resource(id)
        return True

    async def settled(self, resource: Resource, state: ResourceState) -> Resource:
        """Return what a verb has answered, as soon as it is in a state for long."""
        assert resource.state is state
        return resource

    async def named(self, name: str) -> list[Resource]:
        """Return the resources with a name."""
        return [each for each in await self._driver.list_resources() if each.name == name]

    async def volume_names(self) -> set[str]:
        """Return the names of all volumes that this harness created."""
        volumes = await self.volumes.list_volumes()
        return {each.name for each in volumes if each.name.startswith(tuple(self._names))}

    async def check(self, answer: Resource, view: ResourceView = ResourceView.FULL) -> None:
        """Check that the answer of a verb equals what a list and a get return afterwards."""
        summary = await self._driver.get_resource(answer.id, ResourceView.SUMMARY)
        listed = {each.id: each for each in await self._driver.list_resources()}
        assert listed[answer.id] == summary
        if view is ResourceView.SUMMARY:
            assert answer == summary
        read = await self._driver.get_resource(answer.id, view)
        assert (read.state, read.name, read.labels) == (answer.state, answer.name, answer.labels)
        assert read.state_detail == answer.state_detail
        assert answer.engine == EngineRef()
        # None, or what is left of what the state allows where that is less.
        legal = allowed_verbs(answer.kind, answer.state)
        lacking = {verb for verb in legal if verb not in answer.allowed_verbs}
        assert answer.allowed_verbs == () or lacking == {Verb.CREATE_SNAPSHOT}
        assert set(answer.allowed_verbs) <= set(legal)


def verbs_of(kind: ResourceKind) -> list[Verb]:
    """Return the verbs that are legal for a kind in some state."""
    return [verb for verb in LEGAL if any(verb in allowed_verbs(kind, s) for s in ResourceState)]


def view_of(verb: Verb) -> ResourceView:
    """Return the view in which a verb answers."""
    quick = {Verb.START, Verb.STOP, Verb.RESTART, Verb.PAUSE, Verb.RESUME}
    return ResourceView.SUMMARY if verb in quick else ResourceView.FULL


def legal_moves(harness: type[DriverHarness]) -> list[tuple[Verb, ResourceState]]:
    """Return each verb with each state that the verb is legal in and that the harness reaches."""
    return [
        (verb, state)
        for verb in LEGAL
        for state in harness.states
        if verb in allowed_verbs(harness.kind, state)
    ]


async def perform(  # noqa: C901, PLR0911 - one for each verb
    driver: Driver, verb: Verb, id: str, kind: ResourceKind
) -> Resource | Snapshot:
    """Do a verb in its quickest way; a verb that this does not know fails the suite."""
    match verb:
        case Verb.START:
            return await driver.start(id)
        case Verb.STOP:
            return await driver.stop(id, FORCE)
        case Verb.RESTART:
            return await driver.restart(id, RestartOptions(mode=RestartMode.FORCE))
        case Verb.PAUSE:
            return await driver.pause(id)
        case Verb.RESUME:
            return await driver.resume(id)
        case Verb.DELETE:
            return await driver.delete(
                id, DeleteOptions(delete_snapshots=True, delete_saved_state=True)
            )
        case Verb.UPDATE:
            assert isinstance(driver, Updates)
            return (await driver.update(id, harmless_update(kind))).resource
        case Verb.RECREATE:
            assert isinstance(driver, Recreation)
            full = await driver.get_resource(id)
            assert full.container is not None
            assert full.container.spec is not None
            return (await driver.recreate_container(id, full.container.spec)).resource
        case Verb.CREATE_SNAPSHOT:
            assert isinstance(driver, Snapshots)
            return await driver.create_snapshot(id, SnapshotSpec(name="taken"))
        case Verb.REVERT_SNAPSHOT:
            assert isinstance(driver, Snapshots)
            return await driver.revert_snapshot(id, SNAPSHOT)
        case Verb.DELETE_SNAPSHOT:
            assert isinstance(driver, Snapshots)
            await driver.delete_snapshot(id, SNAPSHOT)
            return await driver.get_resource(id)
        case _:
            raise AssertionError(f"the contract suite does not know {verb}")


def harmless_update(kind: ResourceKind) -> ResourceUpdate:
    """Return an update that is possible in every state."""
    if kind is ResourceKind.CONTAINER:
        return container_update(pids_limit=200)
    return domain_update(autostart=True)


def reported_update(kind: ResourceKind) -> ResourceUpdate:
    """Return an update that the engine reports in an event at once."""
    if kind is ResourceKind.CONTAINER:
        return harmless_update(kind)
    return domain_update(title="changed")
