"""Recreation of containers: a container is made again, and takes the place of the one before.

The new container is made beside the old one, under a name of its own, so that what cannot be made
costs the old one nothing. Then the old one is stopped and set aside, the new one takes its name and
is started, and the old one is removed. Until the new one has started, each step can be undone: see
`PutBack`.
"""

import asyncio
import secrets
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus

from proad.drivers.docker.create import ContainerCreator
from proad.drivers.docker.errors import ENGINE
from proad.drivers.docker.http.api import quoted
from proad.drivers.docker.http.engine_client import EngineClient
from proad.drivers.docker.labels import is_nameless
from proad.drivers.docker.names import require_container_name
from proad.drivers.docker.put_back import PutBack, aside
from proad.drivers.docker.reader import ContainerReader, path
from proad.drivers.docker.stop import ContainerStopper
from proad.drivers.under_way import CreatesUnderWay
from proad.errors import (
    AlreadyExistsError,
    CapabilityMissingError,
    InvalidArgumentError,
    ProaError,
    ResourceNotFoundError,
    ResourceNotRunningError,
)
from proad.model import (
    ACTIVE,
    NETWORK_OF,
    ContainerSpec,
    CreatedContainer,
    Footprint,
    Lifetime,
    Mount,
    Resource,
    RestartPolicy,
    RestartPolicyMode,
    StopOptions,
    Verb,
    VolumeMount,
    refusal,
)
from proad.ports import AnnounceFootprint, JudgeImage, OnStep


class ContainerRecreator:
    """Makes containers again."""

    def __init__(
        self,
        engine: EngineClient,
        reader: ContainerReader,
        creator: ContainerCreator,
        stopper: ContainerStopper,
        put_back: PutBack,
        under_way: CreatesUnderWay,
    ) -> None:
        self._engine = engine
        self._reader = reader
        self._creator = creator
        self._stopper = stopper
        self._put_back = put_back
        self._under_way = under_way

    async def recreate(
        self,
        id: str,
        spec: ContainerSpec,
        *,
        announce: AnnounceFootprint,
        judge: JudgeImage,
        on_step: OnStep,
    ) -> CreatedContainer:
        """Put a container with another specification in place of one; see `ports.Recreation`."""
        old = await self._reader.get(id)
        if error := refusal(Verb.RECREATE, old):
            raise error
        active = old.state in ACTIVE
        if active and old.lifetime is Lifetime.TRANSIENT:
            raise CapabilityMissingError(
                "recreation of a TRANSIENT container that runs",
                driver=ENGINE,
                hint="Docker removes it as soon as it stops; create another one",
            )
        name = spec.name or old.name
        require_container_name(name, "spec.name")
        if name != old.name and (owner := await self._reader.listed_id_of(name)):
            raise AlreadyExistsError("container", name, existing_id=owner)
        if active:
            await self._check_joined(spec)
        spec, carried, dropped = _with_volumes(spec, old)
        if carried and spec.lifetime is Lifetime.TRANSIENT:
            raise CapabilityMissingError(
                "recreation as TRANSIENT of a container with nameless volumes",
                driver=ENGINE,
                hint="Docker would not remove them with it; mount named ones",
            )
        token = secrets.token_hex(4)
        told: list[Footprint] = []

        async def tell(footprint: Footprint) -> None:
            footprint = replace(
                footprint,
                replaces=id,
                name=name,
                former=old.name,
                start=active,
                policy=_policy_of(old),
            )
            await announce(footprint)
            told.append(footprint)

        made = await self._creator.create(
            replace(spec, name=f"{name}_proa-new-{token}"),
            start=False,
            announce=tell,
            judge=judge,
            carried=carried,
        )
        (footprint,) = told
        self._under_way.add(footprint)
        stopping = asyncio.create_task(self._stop(old, footprint, on_step))
        swap = asyncio.create_task(
            self._swap(stopping, old, made.resource.id, spec, footprint, on_step)
        )
        try:
            await asyncio.shield(swap)
        except BaseException as error:
            back = asyncio.create_task(self._back(swap, stopping, footprint))
            back.add_done_callback(lambda _: self._under_way.discard(footprint))
            await self._creator.clean_up(back)
            if isinstance(error, ProaError) and back.done() and (left := back.result()):
                error.metadata["left"] = ",".join(left)
                error.message += f"; {old.name!r} cannot have its name back: {', '.join(left)}"
            raise
        try:
            joined = await self._reader.in_network_of(old.id)
            warnings = [*made.warnings, *await self._remove(old, dropped)]
        finally:
            self._under_way.discard(footprint)
        if joined:
            warnings.append(
                f"in the network of the container before, which is gone: {', '.join(joined)}; "
                f'recreate with the network "{NETWORK_OF}{name}"'
            )
        now = await self._reader.get(made.resource.id)
        return CreatedContainer(resource=now, warnings=tuple(warnings))

    async def _check_joined(self, spec: ContainerSpec) -> None:
        """Refuse the network of a container that does not run: the old one could not start again.

        Raises:
            InvalidArgumentError: there is no such container, or it does not run.
        """
        network = spec.networks[0].network if spec.networks else ""
        if not network.startswith(NETWORK_OF):
            return
        ref = network.removeprefix(NETWORK_OF)
        if not await self._reader.runs(ref):
            raise InvalidArgumentError.of(
                "spec.networks", f"no container {ref!r} runs whose network could be joined"
            )

    async def _stop(self, old: Resource, footprint: Footprint, on_step: OnStep) -> bool:
        """Stop the old container for good; return whether it had ended by itself meanwhile."""
        if footprint.policy is not None:
            # An engine that starts again would start it, too: a stop does not end ALWAYS.
            await self._put_back.set_policy(old.id, RestartPolicy())
        if footprint.start:
            try:
                await self._stopper.stop(old.id, StopOptions(), on_step)
            except ResourceNotRunningError:
                return True
        return False

    async def _swap(
        self,
        stopping: "asyncio.Task[bool]",
        old: Resource,
        new: str,
        spec: ContainerSpec,
        footprint: Footprint,
        on_step: OnStep,
    ) -> None:
        await stopping
        await self._rename(old.id, aside(footprint))
        await self._rename(new, footprint.name)
        if footprint.start:
            on_step("starting the new one", None)
            answer = await self._engine.post(path(new, "/start"))
            if not answer.ok and answer.status != HTTPStatus.NOT_MODIFIED:
                raise await self._reader.failure(answer, spec)

    async def _rename(self, id: str, name: str) -> None:
        answer = await self._engine.post(path(id, "/rename"), params={"name": name})
        if answer.ok:
            return
        if answer.status == HTTPStatus.NOT_FOUND:
            raise ResourceNotFoundError(id)
        if answer.status == HTTPStatus.CONFLICT and (owner := await self._reader.id_of(name)):
            raise AlreadyExistsError("container", name, existing_id=owner)
        raise await self._reader.failure(answer)

    async def _back(
        self,
        swap: "asyncio.Task[None]",
        stopping: "asyncio.Task[bool]",
        footprint: Footprint,
    ) -> tuple[str, ...]:
        """Put the old container back; return it if it cannot have its name."""
        with suppress(Exception):
            await swap
        if stopping.exception() is None and stopping.result():
            footprint = replace(footprint, start=False)
        left: tuple[str, ...] = ()
        with suppress(ProaError):
            left = await self._put_back.put_back(footprint)
        return left

    async def _remove(self, old: Resource, dropped: frozenset[str]) -> list[str]:
        """Remove the old one; return what is left of it."""
        # What the new one needs stays, whatever Docker thinks of it.
        answer = await self._engine.delete(path(old.id), params={"force": 1, "v": 0})
        if not answer.ok and answer.status != HTTPStatus.NOT_FOUND:
            return [f"the container before could not be removed: {old.id}"]
        for volume in dropped:
            await self._engine.delete(f"/volumes/{quoted(volume)}")
        return []


def _policy_of(old: Resource) -> RestartPolicy | None:
    """Return the restart policy that a container must not have while it is set aside."""
    if old.container is None or old.container.spec is None:
        return None
    policy = old.container.spec.restart_policy
    return None if policy.mode in {RestartPolicyMode.NO, RestartPolicyMode.OTHER} else policy


def _with_volumes(
    spec: ContainerSpec, old: Resource
) -> tuple[ContainerSpec, frozenset[str], frozenset[str]]:
    """Return a specification whose nameless volumes are those of the old container.

    Return also those volumes, and the nameless ones that the specification has no place for.
    """
    container = old.container
    if container is None or container.spec is None:
        return spec, frozenset(), frozenset()
    asked = {mount.target: mount for mount in container.spec.mounts}
    had = {}
    for mount in container.mounts:
        wish = asked.get(mount.target)
        named = wish is not None and (wish.volume is None or wish.volume.name)
        if mount.volume is not None and is_nameless(mount.volume.name) and not named:
            had[mount.target] = mount
    carried = set()
    mounts = []
    for mount in spec.mounts:
        before = had.get(mount.target)
        if mount.volume is not None and not mount.volume.name and before and before.volume:
            mount = replace(mount, volume=before.volume)  # noqa: PLW2901 - the same mount
            carried.add(before.volume.name)
        mounts.append(mount)
    targets = {mount.target for mount in mounts}
    for target, before in had.items():
        # Its image asked for it, and the next image may not.
        if target not in targets and target not in asked and before.volume:
            volume = VolumeMount(name=before.volume.name)
            mounts.append(Mount(target=target, read_only=before.read_only, volume=volume))
            carried.add(before.volume.name)
    dropped = {mount.volume.name for mount in had.values() if mount.volume} - carried
    return replace(spec, mounts=tuple(mounts)), frozenset(carried), frozenset(dropped)
