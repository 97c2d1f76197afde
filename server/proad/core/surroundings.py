"""What a container refers to on its host, read for the rules of the policy."""

from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from proad.core.container_claims import ContainerClaims
from proad.core.engine_connection import EngineConnection
from proad.core.host_paths import HostPathReader
from proad.core.inventory import Entry, Inventory
from proad.core.tenancy import current_owners, current_visibility
from proad.core.volume_tenancy import VolumeTenancy
from proad.model import (
    NETWORK_OF,
    Container,
    ContainerSpec,
    ContainerVolume,
    Mount,
    NetworkAttachment,
    ResourceKind,
)
from proad.policy import Profile
from proad.policy.containers import (
    BindOfAnother,
    HostPath,
    JoinedContainer,
    NamedVolume,
    Surroundings,
    spelled_out,
)
from proad.ports import ContainerAttachments


@dataclass(frozen=True, slots=True)
class _Bind:
    """A bind mount of an instance, which may be hidden in the options of a volume."""

    source: str
    read_only: bool


class SurroundingsReader:
    """Reads what the rules compare a container with.

    Args:
        inventory: has what exists.
        connections: all engines.
        protected: paths that no container may have.
        volumes: knows whose volumes are.
        paths: looks at paths of the host.

    Attributes:
        claims: what creates under way are about to mount.
    """

    def __init__(
        self,
        inventory: Inventory,
        connections: Sequence[EngineConnection] = (),
        protected: Collection[str] = (),
        volumes: VolumeTenancy | None = None,
        paths: HostPathReader | None = None,
    ) -> None:
        self._inventory = inventory
        self._connections = tuple(connections)
        self._protected = tuple(protected)
        self._volumes = volumes
        self.claims = ContainerClaims()
        self._paths = paths or HostPathReader()

    async def of_spec(
        self,
        connection: EngineConnection,
        spec: ContainerSpec,
        profile: Profile,
        *,
        instead: str = "",
    ) -> Surroundings:
        """Return the surroundings of a container to be made.

        Args:
            connection: the engine.
            spec: what it is made from.
            profile: the caller's profile.
            instead: full id of the container whose place it takes; empty: of none.
        """
        return await self._read(connection, spec.mounts, spec.networks, profile, instead)

    async def of_container(
        self, connection: EngineConnection, id: str, container: Container, profile: Profile
    ) -> Surroundings:
        """Return the surroundings of a container that exists, by its FULL view."""
        spec = container.spec
        mounts = (*container.mounts, *(spec.mounts if spec else ()))
        networks = (*container.networks, *(spec.networks if spec else ()))
        return await self._read(connection, mounts, networks, profile, id)

    async def disks_of_others(
        self, connection: EngineConnection, sources: Collection[str]
    ) -> Sequence[str]:
        """Return those of the disks of a domain that are volumes which the caller may not see."""
        if self._volumes is None:
            return ()
        return await self._volumes.of_others(connection, sources)

    async def _read(
        self,
        connection: EngineConnection,
        mounts: Collection[Mount],
        networks: Collection[NetworkAttachment],
        profile: Profile,
        but: str,
    ) -> Surroundings:
        driver = connection.driver
        joined = {
            each.network: found
            for each in networks
            if (found := self._joined(connection, each.network)) is not None
        }
        if not isinstance(driver, ContainerAttachments):
            return Surroundings(is_remote=True, joined=joined)
        names = {mount.volume.name for mount in mounts if mount.volume} - {""}
        volumes = await driver.container_volumes(names)
        own = await self._own_volumes(connection, {volume.name for volume in volumes}, but)
        sources = {mount.bind.source for mount in mounts if mount.bind}
        paths, protected, binds = await self._binds(sources, profile, connection, but)
        return Surroundings(
            is_remote=not driver.is_on_this_host,
            log_driver=driver.default_log_driver,
            paths=paths,
            protected=protected,
            binds=binds,
            networks=await driver.container_networks(_plain_names(networks)),
            joined=joined,
            volumes={each.name: _named(each, is_own=each.name in own) for each in volumes},
            claimed=self._claimed(names),
        )

    async def _own_volumes(
        self, connection: EngineConnection, names: Collection[str], id: str
    ) -> Collection[str]:
        """Return those of existing volumes that the caller may use.

        What a container of the caller's mounts already, nameless volumes included, was judged when
        it was made.
        """
        if self._volumes is None:
            return names
        entry = self._inventory.entry(connection, id)
        container = entry.observed.container if entry is not None else None
        mounted = {
            each.volume.name for each in (container.mounts if container else ()) if each.volume
        }
        return mounted | {*await self._volumes.visible_container_volumes(connection, names)}

    def _claimed(self, names: Collection[str]) -> frozenset[str]:
        """Return the volumes that somebody else's container under way is about to mount."""
        visibility = current_visibility()
        return frozenset(
            name
            for claim in self.claims.others()
            if not visibility.includes(claim.owner)
            for name in claim.volumes & set(names)
        )

    async def _binds(
        self, sources: Collection[str], profile: Profile, connection: EngineConnection, but: str
    ) -> tuple[Mapping[str, HostPath], tuple[HostPath, ...], tuple[BindOfAnother, ...]]:
        """Return the paths of bind mounts, those that are protected, and other instances' binds.

        Only what is inside a root is looked at: no path that a caller names makes us hang.
        """
        roots = tuple(map(spelled_out, profile.bind_roots))
        inside = {source for source in sources if spelled_out(source).startswith(roots)}
        protected = {*self._protected, *self._state_folders()}
        if not inside:  # the names of what is protected are enough to name the rule
            return {}, tuple(HostPath(path=path) for path in protected if sources), ()
        others = [each async for each in self._other_binds(connection, but)]
        found = await self._paths.read({*inside, *protected, *(each.source for each in others)})
        return (
            {source: found[source] for source in inside},
            tuple(found[path] for path in protected),
            tuple(
                BindOfAnother(source=found[each.source], read_only=each.read_only)
                for each in others
            ),
        )

    def _state_folders(self) -> Iterable[str]:
        """Return where the engines on this host keep their state."""
        for connection in self._connections:
            driver = connection.driver
            if isinstance(driver, ContainerAttachments) and driver.is_on_this_host:
                yield from driver.state_folders

    async def _other_binds(self, connection: EngineConnection, but: str) -> AsyncIterator[_Bind]:
        """Return the binds of all other containers on this host, each once."""
        seen = set(self._claimed_binds())
        for bind in tuple(seen):
            yield bind
        for each in self._connections:
            driver = each.driver
            if not isinstance(driver, ContainerAttachments) or not driver.is_on_this_host:
                continue
            devices = {
                volume.name: device
                for volume in await driver.container_volumes()
                if (device := _device(volume))
            }
            async for resource in self._inventory.slicer.each(self._inventory.all(each)):
                if resource.container is None or (each is connection and resource.id == but):
                    continue
                for mount in resource.container.mounts:
                    if source := _source(mount, devices):
                        bind = _Bind(source, mount.read_only)
                        if bind not in seen:
                            seen.add(bind)
                            yield bind

    def _claimed_binds(self) -> Iterator[_Bind]:
        """Return the binds of containers that others are about to make."""
        for claim in self.claims.others():
            for mount in claim.mounts:
                if mount.bind is not None:
                    yield _Bind(mount.bind.source, mount.read_only)

    def _joined(self, connection: EngineConnection, network: str) -> JoinedContainer | None:
        """Return the container whose network is meant, as its engine resolves the name."""
        if not network.startswith(NETWORK_OF):
            return None
        entry = self._find(connection, network.removeprefix(NETWORK_OF))
        if entry is None:
            return None
        container = entry.observed.container
        return JoinedContainer(
            id=entry.observed.id,
            is_own=entry.record is not None and entry.record.owner in current_owners(),
            networks=tuple(each.network for each in container.networks) if container else (),
        )

    def _find(self, connection: EngineConnection, ref: str) -> Entry | None:
        """Return the container that an engine means: by full id, by name, by a part of the id."""
        if not ref:
            return None
        if (entry := self._inventory.entry(connection, ref)) is not None:
            return entry
        for entry in self._inventory.named(ref):
            if entry.engine == connection.ref and entry.observed.kind is ResourceKind.CONTAINER:
                return entry
        starting = [*self._inventory.starting(ref, connection, ResourceKind.CONTAINER)]
        return starting[0] if len(starting) == 1 else None


def _plain_names(networks: Iterable[NetworkAttachment]) -> set[str]:
    return {each.network for each in networks if not each.stands_alone and ":" not in each.network}


def _source(mount: Mount, devices: Mapping[str, str]) -> str:
    if mount.bind is not None:
        return mount.bind.source
    return devices.get(mount.volume.name, "") if mount.volume is not None else ""


def _device(volume: ContainerVolume) -> str:
    """Return the path that a volume's options name; empty: none."""
    device = volume.options.get("device", "")
    return device if device.startswith("/") else ""


def _named(volume: ContainerVolume, *, is_own: bool) -> NamedVolume:
    return NamedVolume(driver=volume.driver, has_options=bool(volume.options), is_own=is_own)
