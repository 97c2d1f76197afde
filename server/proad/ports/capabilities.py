"""The optional ports of a driver, one for each capability."""

from collections.abc import AsyncGenerator, Collection, Mapping
from typing import Protocol, runtime_checkable

from proad.model import (
    ContainerNetwork,
    ContainerSpec,
    ContainerVolume,
    CreatedContainer,
    DeletedImage,
    DomainDocument,
    DomainFacts,
    DomainSpec,
    DomainXml,
    Footprint,
    Found,
    Image,
    ImageFilter,
    PullProgress,
    RegistryCredentials,
    Resource,
    ResourceStats,
    ResourceUpdate,
    RevertState,
    Snapshot,
    SnapshotSpec,
    Updated,
    UpdatePlan,
    Volume,
    VolumeSpec,
)
from proad.ports.callbacks import (
    AnnounceFootprint,
    Begin,
    JudgeImage,
    JudgeXml,
    OnStep,
    any_image,
    at_once,
    ignore,
    unannounced,
    unjudged,
)


@runtime_checkable
class Updates(Protocol):
    """Updates of existing resources."""

    async def plan_update(self, id: str, update: ResourceUpdate) -> UpdatePlan:
        """Return what `update` would do to a resource as it is now, and change nothing.

        Raises:
            ProaError: as `update`, but for what is only known when the engine is at it, and for
                `UpdatePlan.refusal`.
        """

    async def update(self, id: str, update: ResourceUpdate) -> Updated:
        """Change what `update` names, at once where the engine can.

        For an active resource, `restart_required` names the paths, such as "vcpus", of
        the changes that take effect at its next start: those that `plan_update` tells, and
        what a guest does not follow.

        Raises:
            CapabilityMissingError: the engine cannot change one of the fields; nothing was
                changed.
        """


@runtime_checkable
class Stats(Protocol):
    """Statistics of what resources use."""

    async def stats(self, ids: Collection[str]) -> Mapping[str, ResourceStats]:
        """Return one sample of each of these resources, by id.

        A resource that is not active, or does not exist, has none. A hung resource does not
        delay the others for long.
        """


@runtime_checkable
class Containers(Protocol):
    """Creation of containers."""

    async def create_container(
        self,
        spec: ContainerSpec,
        *,
        start: bool = False,
        announce: AnnounceFootprint = unannounced,
        judge: JudgeImage = any_image,
    ) -> CreatedContainer:
        """Create a container; with `start`, start it. No entry of `env_secret` is redacted.

        Await `judge` before `announce`.

        Raises:
            InvalidArgumentError: the engine refuses a value; with its field.
            ImageNotFoundError: the image is not on the host; nothing is pulled.
            AlreadyExistsError: the name is taken; `existing_id` in the metadata.
            InUseError: a port or an address of the host is taken.
        """

    async def layer_size(self, id: str) -> int:
        """Return the bytes on disk that a container's own layer takes, without its volumes."""

    async def env_secrets(self, id: str) -> Mapping[str, str]:
        """Return the values of a container's `env_secret`, which no view of the container has."""


@runtime_checkable
class ContainerAttachments(Protocol):
    """What containers are attached to on their host, read without a change."""

    @property
    def is_on_this_host(self) -> bool:
        """Whether the paths of the engine's host are those of this process."""

    @property
    def default_log_driver(self) -> str:
        """The log driver of a container that names none; empty: not known."""

    @property
    def state_folders(self) -> Collection[str]:
        """Where the engine keeps its state, as far as it says."""

    async def container_volumes(
        self, names: Collection[str] | None = None
    ) -> list[ContainerVolume]:
        """Return the volumes of these names that exist; None: all volumes."""

    async def container_networks(self, names: Collection[str]) -> Mapping[str, ContainerNetwork]:
        """Return those of these networks that exist, by name, id or part of an id as given."""


@runtime_checkable
class Recreation(Protocol):
    """Recreation of containers."""

    async def recreate_container(
        self,
        id: str,
        spec: ContainerSpec,
        *,
        announce: AnnounceFootprint = unannounced,
        judge: JudgeImage = any_image,
        on_step: OnStep = ignore,
    ) -> CreatedContainer:
        """Put a container with this specification in place of one, and return the new one.

        An active container is stopped first, as a stop without options does that, and the new
        one is started. Nameless volumes are taken over. Either the new one is there alone, or
        the old one as it was. Await `judge` before `announce`.

        Raises:
            CapabilityMissingError: the container would be gone with its stop.
            ProaError: as for `Containers.create_container`.
        """


@runtime_checkable
class Images(Protocol):
    """Container images and registries."""

    async def list_images(self, which: ImageFilter = ImageFilter()) -> list[Image]:
        """Return the images, in any order."""

    async def get_image(self, name: str) -> Image:
        """Return the FULL view of an image. Raises ImageNotFoundError."""

    def pull_image(
        self, name: str, *, platform: str = "", credentials: RegistryCredentials | None = None
    ) -> AsyncGenerator[PullProgress | Image, None]:
        """Pull an image; the last item is the Image. Closing the generator ends the pull.

        `credentials` are for the registry in the name of the image; None: the pull has none.

        Raises:
            ImageNotFoundError: the registry has no such image.
            RegistryDeniedError: the registry wants other credentials.
            RegistryUnreachableError: the registry does not answer, or cannot at the moment.
        """

    async def delete_image(self, name: str, *, force: bool = False) -> DeletedImage:
        """Delete an image, or remove a tag from it. Raises ImageNotFoundError, InUseError."""

    async def check_credentials(self, credentials: RegistryCredentials) -> None:
        """Let a registry check credentials, which the driver does not keep.

        Raises:
            RegistryDeniedError: the registry refuses the credentials.
            RegistryUnreachableError: the registry does not answer, or cannot at the moment.
        """


@runtime_checkable
class Domains(Protocol):
    """Creation of virtual machines."""

    async def domain_facts(self) -> DomainFacts:
        """Return the facts on which domain XML is judged."""

    async def domain_documents(self, id: str, *, snapshot: str = "") -> tuple[DomainDocument, ...]:
        """Return all XML that a start or restart of a domain would run.

        That of the run, the persistent one and that of a saved state; or with `snapshot` what a
        revert to that snapshot would run. Where the XML leaves a backing chain to the images, the
        chain is completed from them.

        Args:
            id: the domain.
            snapshot: name of the snapshot; empty: none.
        """

    async def create_domain(
        self,
        spec: DomainSpec,
        *,
        start: bool = False,
        announce: AnnounceFootprint = unannounced,
        judge: JudgeXml = unjudged,
    ) -> Resource:
        """Create a domain and its new volumes; with `start`, start it.

        Await `judge` once before `announce`.

        Raises:
            InvalidArgumentError: the host lacks what a field names, such as a network or a
                medium; with the field.
            AlreadyExistsError: the name, UUID or a volume's name is taken.
            VolumeNotFoundError: a volume, base volume or pool does not exist.
        """

    async def create_domain_from_xml(
        self,
        source: DomainXml,
        *,
        start: bool = False,
        announce: AnnounceFootprint = unannounced,
        judge: JudgeXml = unjudged,
    ) -> Resource:
        """Create a domain from XML. Never change an existing one.

        Await `judge` once before `announce`.

        Raises:
            InvalidArgumentError: with field "xml": the XML is not well-formed, is no domain, or
                names what does not exist.
            AlreadyExistsError: the name or UUID is taken.
        """

    async def find_running(self, runtime_id: int) -> str:
        """Return the UUID of the domain that runs under this number now; empty if none does."""

    async def get_domain_xml(self, id: str, *, inactive: bool = False) -> str:
        """Return a domain as XML, without passwords."""


@runtime_checkable
class Snapshots(Protocol):
    """Snapshots of resources. An unknown snapshot raises SnapshotNotFoundError."""

    async def list_snapshots(self, id: str) -> list[Snapshot]:
        """Return the snapshots of a resource, in any order."""

    async def get_snapshot(self, id: str, name: str) -> Snapshot:
        """Return one snapshot."""

    async def create_snapshot(
        self,
        id: str,
        spec: SnapshotSpec = SnapshotSpec(),
        *,
        announce: AnnounceFootprint = unannounced,
    ) -> Snapshot:
        """Take a snapshot, with memory if the resource is active.

        Raises:
            AlreadyExistsError: the name is taken.
            CapabilityMissingError: the resource, as it is now, can have no snapshot.
        """

    async def revert_snapshot(
        self, id: str, name: str, state: RevertState | None = None
    ) -> Resource:
        """Revert a resource to a snapshot; None: to the state that the snapshot has."""

    async def delete_snapshot(self, id: str, name: str, *, children: bool = False) -> None:
        """Delete a snapshot, and with `children` those taken after it."""


@runtime_checkable
class Volumes(Protocol):
    """Volumes in storage pools.

    An empty pool is the default pool of the host, which is created if it does not exist.
    """

    async def list_volumes(self, pool: str = "") -> list[Volume]:
        """Return the volumes of a pool; if `pool` is empty, of all active pools."""

    async def create_volume(
        self, spec: VolumeSpec, *, announce: AnnounceFootprint = unannounced
    ) -> Volume:
        """Create a volume. Raises AlreadyExistsError, VolumeNotFoundError, HostExhaustedError."""

    async def delete_volume(
        self,
        pool: str,
        name: str,
        *,
        ignore_unreadable: Collection[str] = (),
        begin: Begin = at_once,
    ) -> None:
        """Delete a volume that nothing needs, whatever else is in its pool.

        Args:
            pool: name of the pool.
            name: name of the volume.
            ignore_unreadable: names of what may need the volume but cannot be read, such as
                "domain web" or "volume default/old.qcow2", and is to be ignored.
            begin: awaited before the first change.

        Raises:
            VolumeNotFoundError: the volume does not exist.
            InUseError: something needs the volume, or may need it.
        """

    async def record_volume(
        self, pool: str, name: str, *, ours: Collection[str] | None = None
    ) -> Volume:
        """Return a volume that is to have an owner; record it if Proa did not make it.

        The record is of this volume alone: another one in its place, under the same name, has none.
        It says in which format the volume is used from now on, whatever is written into it.

        Args:
            pool: name of the pool.
            name: name of the volume.
            ours: names of what may use the volume, such as "domain web" or "volume default/web.qcow2";
                None: whatever does may.

        Raises:
            VolumeNotFoundError: the volume does not exist.
            InUseError: something else uses the volume, or may use it.
            InvalidArgumentError: nothing tells the volume from another one in its place, or it
                needs other files.
        """

    async def recorded_volumes(self) -> Collection[str]:
        """Return the ids of the records of all volumes that are not deleted.

        An id is the `record_id` of the volume, and that of the `PlannedVolume` in the footprint of
        its create.
        """


@runtime_checkable
class Recovery(Protocol):
    """What became of creates that were interrupted; every driver has it.

    Nothing that is older than the footprint, or that somebody else may have made, is taken for
    the create's.

    Raises:
        EngineTimedOutError: this process is still at the create, or at its undo.
    """

    async def find_created(self, footprint: Footprint) -> Found | None:
        """Return what a create has made; None: nothing, or nothing that is provably the create's."""

    async def undo_created(self, footprint: Footprint, *, force: bool = False) -> tuple[str, ...]:
        """Remove what a create has left, and do nothing to a resource that runs, unless `force`.

        Nothing that is not provably the create's is removed. Not to find anything is no error:
        the engine may still be at it.

        Returns:
            What was left though it may be the create's, such as "volume default/web.qcow2".
        """
