"""How the imitated engine makes containers."""

import secrets
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace

from proad.drivers.memory.behaviour import Behaviour
from proad.drivers.memory.connection import NAME
from proad.drivers.memory.engine import ImitatedEngine, is_missing, now
from proad.drivers.memory.images import MemoryImages
from proad.drivers.memory.workload import Workload
from proad.errors import (
    AlreadyExistsError,
    CapabilityMissingError,
    Findings,
    InvalidArgumentError,
    ProaError,
)
from proad.model import (
    NETWORK_OF,
    Container,
    ContainerSpec,
    ContainerVolume,
    CreatedContainer,
    EnvSecret,
    Footprint,
    Image,
    ImageDefaults,
    Lifetime,
    NetworkAttachment,
    Resource,
    ResourceKind,
    ResourceState,
    StateDetail,
    StateReason,
    StopOptions,
    Verb,
)
from proad.ports import AnnounceFootprint, JudgeImage, any_image, unannounced

_SHM_BYTES = 64 * 2**20


class MemoryContainers:
    """Containers without processes, made from images that are only names."""

    def __init__(self, engine: ImitatedEngine, images: MemoryImages) -> None:
        self._engine = engine
        self._images = images
        self._volumes: dict[str, ContainerVolume] = {}

    async def create_container(
        self,
        spec: ContainerSpec,
        *,
        start: bool = False,
        announce: AnnounceFootprint = unannounced,
        judge: JudgeImage = any_image,
    ) -> CreatedContainer:
        """Create a container, and start it if asked to."""
        self._engine.connection.check()
        findings = Findings()
        with findings.noted():
            workload = self._new(spec, start=start)
        with findings.noted():
            self._refuse_taken(spec.name)
        findings.check()
        resource = workload.resource
        await judge(_image_of(workload))
        await announce(
            Footprint(mark=resource.id, create_time=resource.create_time or now(), start=start)
        )
        self._refuse_taken(resource.name)
        self._make_volumes(spec)
        if start:
            self._engine.start(workload)  # before it is in the list: what cannot start never was
        self._engine.add(workload)
        return CreatedContainer(resource=workload.shown())

    def volumes(self, names: Collection[str] | None) -> list[ContainerVolume]:
        """Return the volumes of these names; None: all volumes."""
        self._engine.connection.check()
        return [each for name, each in self._volumes.items() if names is None or name in names]

    def _make_volumes(self, spec: ContainerSpec) -> None:
        for name in {mount.volume.name for mount in spec.mounts if mount.volume} - {""}:
            self._volumes.setdefault(name, ContainerVolume(name=name, driver="local"))

    async def recreate_container(
        self,
        id: str,
        spec: ContainerSpec,
        *,
        announce: AnnounceFootprint,
        judge: JudgeImage,
        stop: Callable[[str, StopOptions], Awaitable[Resource]],
    ) -> CreatedContainer:
        """Put a container with this specification in place of one, which `stop` stops."""
        old = self._engine.workload(id)
        self._engine.permit(Verb.RECREATE, old)
        active = old.run is not None
        if active and old.resource.lifetime is Lifetime.TRANSIENT:
            raise CapabilityMissingError(
                "recreation of a TRANSIENT container that runs", driver=NAME
            )
        workload = self._new(replace(spec, name=spec.name or old.resource.name), start=active)
        resource = workload.resource
        if resource.name != old.resource.name:
            self._refuse_taken(resource.name)
        await judge(_image_of(workload))
        await announce(
            Footprint(
                mark=resource.id,
                create_time=resource.create_time or now(),
                start=active,
                replaces=id,
                name=resource.name,
                former=old.resource.name,
            )
        )
        self._make_volumes(spec)
        if active:
            await stop(id, StopOptions())
        self._engine.remove(old)
        try:
            if active:
                self._engine.start(workload)
        except ProaError:
            self._engine.add(old)
            self._engine.start(old)
            raise
        self._engine.add(workload)
        return CreatedContainer(resource=workload.shown())

    def _new(self, spec: ContainerSpec, *, start: bool) -> Workload:
        """Return a new container that is not on the engine yet."""
        image = self._images.get(spec.image)
        behaviour = Behaviour.of(spec.labels)
        id = secrets.token_hex(32)
        name = spec.name or f"nameless_{id[:12]}"
        resource = Resource(
            id=id,
            kind=ResourceKind.CONTAINER,
            name=name,
            state=ResourceState.STOPPED,
            state_detail=StateDetail(reason=StateReason.NEVER_STARTED),
            labels={**image.labels, **spec.labels},
            create_time=now(),
            lifetime=spec.lifetime,
            container=_container(replace(spec, name=name), image, id, self._networks(spec)),
        )
        for index, attachment in enumerate(spec.networks if start else ()):
            if is_missing(attachment.network):
                raise _no_network(index, f"no network {attachment.network!r}")
        values = {name: secret.value for name, secret in spec.env_secret.items()}
        return Workload(resource, behaviour, secrets=values)

    def _refuse_taken(self, name: str) -> None:
        if (other := self._engine.named(ResourceKind.CONTAINER, name)) is not None:
            raise AlreadyExistsError("container", name, existing_id=other.resource.id)

    def _networks(self, spec: ContainerSpec) -> tuple[NetworkAttachment, ...]:
        """Return the networks to be on: that of another container is named by its id."""
        networks = spec.networks or (NetworkAttachment(network="bridge"),)
        first = networks[0].network
        if not first.startswith(NETWORK_OF):
            return networks
        ref = first.removeprefix(NETWORK_OF)
        other = self._engine.named(ResourceKind.CONTAINER, ref) or self._engine.workloads.get(ref)
        if other is None or other.resource.kind is not ResourceKind.CONTAINER:
            raise _no_network(0, f"no container {ref!r}")
        return (NetworkAttachment(network=f"{NETWORK_OF}{other.resource.id}"),)


def _image_of(workload: Workload) -> ImageDefaults:
    container = workload.resource.container
    return ImageDefaults(id=container.image_id if container is not None else "")


def _no_network(index: int, text: str) -> InvalidArgumentError:
    return InvalidArgumentError.of(f"spec.networks[{index}].network", text)


def _own(spec: ContainerSpec, image: Image) -> ContainerSpec:
    """Return a specification as an engine shows it: without what the image gives."""
    limits = spec.resources
    entrypoint = () if spec.entrypoint == image.entrypoint else spec.entrypoint
    return replace(
        spec,
        entrypoint=entrypoint,
        command=() if not entrypoint and spec.command == image.command else spec.command,
        env=dict(spec.env.items() - image.env.items()),
        env_secret={name: EnvSecret(redacted=True) for name in sorted(spec.env_secret)},
        labels=dict(spec.labels.items() - image.labels.items()),
        resources=replace(
            limits,
            memory_bytes=limits.memory_bytes or 0,
            memory_reservation_bytes=limits.memory_reservation_bytes or 0,
            cpus=limits.cpus or 0.0,
            pids_limit=limits.pids_limit or 0,
        ),
        shm_size_bytes=spec.shm_size_bytes or _SHM_BYTES,
        log_driver=spec.log_driver or "json-file",
        allow_new_privileges=spec.allow_new_privileges is not False,
        deletion_protection=False,  # the core knows
    )


def _container(
    spec: ContainerSpec, image: Image, id: str, networks: tuple[NetworkAttachment, ...]
) -> Container:
    entrypoint = spec.entrypoint or image.entrypoint
    command = spec.command or (() if spec.entrypoint else image.command)
    env = {**image.env, **spec.env, **dict.fromkeys(spec.env_secret, "")}
    return Container(
        spec=_own(spec, image),
        image=spec.image,
        image_id=image.id,
        command=tuple(word for word in (*entrypoint, *command) if word),
        mounts=spec.mounts,
        networks=networks,
        env={name: value for name, value in env.items() if name not in spec.env_unset},
        working_dir=spec.working_dir or "",
        user=spec.user,
        hostname=spec.hostname or id[:12],
        stop_signal=spec.stop_signal,
        display=spec.display,
    )
