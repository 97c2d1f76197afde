"""What a driver is: small protocols by capability.

A driver implements `Driver` and those of the others that its engine offers. What it
does not implement is a missing capability, which the core reports; no method is there
only to refuse. `tests/contract/` proves every obligation below with one suite that every
driver runs.

Obligations of every method:

- It takes and gives model types only; no object of an engine's SDK leaves a driver.
- `id` is a full id as `list_resources` gives it. An unknown one raises
  ResourceNotFoundError.
- It never blocks the event loop: SDK calls run on the driver's own threads.
- An engine that does not answer raises EngineUnreachableError, one that is too slow
  EngineTimedOutError. One that refuses raises what that means: InvalidArgumentError with
  the field, CapabilityMissingError, InUseError, HostExhaustedError, or else
  EngineConflictError with the engine's text. Refusals are told apart by code; where one
  code has several causes, by the one table of the driver that knows the engine's texts.
- A verb that is illegal in the present state (`model.verbs.refusal`) raises that
  error and changes nothing, also when the state changed a moment ago.
- What creates is all or nothing: when a step fails or the call is cancelled, all
  that was made is removed again.
- A verb gives the resource as it is afterwards: read from the engine, or what its yes to
  a `pause` or `resume` says. `start`, `stop`, `restart`, `pause` and `resume` give a
  SUMMARY, the others the FULL view.
- A SUMMARY says the same whether it comes from `list_resources`, `get_resource` or a
  verb: two of a resource that did not change in between are equal.
- What only the core knows it adds itself: `host`, `activity`, `etag`, `revision` and
  `observe_time` are empty. So is `allowed_verbs`, unless they are fewer than the state
  allows: a resource that can have no snapshot.
"""

from asyncio import Future
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from types import TracebackType
from typing import Never, Protocol, Self, runtime_checkable

from proad.model import (
    ContainerSpec,
    CreatedContainer,
    DeletedImage,
    DeleteOptions,
    DomainSpec,
    DomainXml,
    EngineEvent,
    EngineInfo,
    Image,
    ImageFilter,
    Pruned,
    PruneFilter,
    PullProgress,
    RegistryCredentials,
    Resource,
    ResourceKind,
    ResourceStats,
    ResourceUpdate,
    ResourceView,
    RestartOptions,
    RevertState,
    Snapshot,
    SnapshotSpec,
    StartOptions,
    StopMode,
    StopOptions,
    Updated,
    Volume,
    VolumeSpec,
)

OnStep = Callable[[str, int | None], None]
"""Told by a verb which step it is at, in words for people, and its percentage or None.
Called on the event loop."""

OnMade = Callable[[str], None]
"""Receives from a create, before there is anything, what its resource will be known by: its
full id, or its `Resource.creation`. Called on the event loop; never with what was there
before."""

OnEvent = Callable[[EngineEvent], None]
"""Receives one event of a subscription. Called on the event loop; must not block."""


def untold(step: str, percent: int | None = None) -> None:
    """Tell nobody."""


@runtime_checkable
class Driver(Protocol):
    """An adapter to one engine: its identity, its connection, its resources' lives."""

    @property
    def name(self) -> str:
        """Name of the driver: "docker", "libvirt" or "memory"."""

    @property
    def endpoint(self) -> str:
        """Where the engine is reached, without credentials."""

    @property
    def kinds(self) -> tuple[ResourceKind, ...]:
        """The kinds of resource that it has."""

    @property
    def stop_modes(self) -> frozenset[StopMode]:
        """The modes that `stop` knows. Another one raises CapabilityMissingError."""

    @property
    def full_view_age(self) -> timedelta | None:
        """How long a FULL view may be served where no event comes in between. None: for
        ever, because an event comes with each change of it.
        """

    async def __aenter__(self) -> Self:
        """Start the driver's threads. The engine need not be there yet."""

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let go of the engine. Stops no workload, and waits for no hung call."""

    async def probe(self) -> EngineInfo:
        """Ask the engine who it is; connect, or connect again, where that is needed.

        Cheap: it is called every few seconds.
        """

    async def list_resources(self, view: ResourceView = ResourceView.SUMMARY) -> list[Resource]:
        """Give all resources, in any order. A SUMMARY costs no question per resource."""

    async def get_resource(self, id: str, view: ResourceView = ResourceView.FULL) -> Resource:
        """Give one resource."""

    async def find_id(self, name: str) -> str:
        """Give the full id of the resource of that name; empty where there is none.

        No resource that hangs holds it up. `name` may be what no name can be.
        """

    def subscribe(self, on_event: OnEvent) -> AbstractAsyncContextManager[Future[Never]]:
        """Call `on_event` for each event of the engine's resources while the block lasts.

        Entering the block subscribes: every change from then on is followed by an event, at
        the latest some milliseconds after the engine shows the change. This holds for each
        change of a SUMMARY, and of the FULL view except for what `full_view_age` is for.
        Events are hints: several may come for one change, or one for nothing. The driver
        does not coalesce events.

        The block receives a future that never has a result. The future fails with
        EngineUnreachableError when the engine, or its stream of events, is lost, and with
        the exception of `on_event` when that raises: in both cases events may be missing,
        and no more come. No event comes after the block.

        Raises:
            EngineUnreachableError: the engine does not answer.
        """

    async def start(self, id: str, options: StartOptions = StartOptions()) -> Resource:
        """Start it; resume it when it is PAUSED or SUSPENDED.

        Options that the engine lacks raise CapabilityMissingError.
        """

    async def stop(
        self, id: str, options: StopOptions = StopOptions(), *, on_step: OnStep = untold
    ) -> Resource:
        """Stop it as the contract's StopMode has it.

        GRACEFUL kills nothing: it raises StopTimedOutError. FORCE takes effect while a
        graceful stop waits, which then ends well. A TRANSIENT resource is given as it
        last was, STOPPED. Cancelling a graceful stop leaves the request standing.
        """

    async def restart(
        self, id: str, options: RestartOptions = RestartOptions(), *, on_step: OnStep = untold
    ) -> Resource:
        """Restart it as the contract's RestartMode has it."""

    async def pause(self, id: str) -> Resource:
        """Freeze it in memory."""

    async def resume(self, id: str) -> Resource:
        """Let it go on; wake it when it is SUSPENDED."""

    async def delete(self, id: str, options: DeleteOptions = DeleteOptions()) -> Resource:
        """Delete it and give it as it last was.

        The guards HasSnapshotsError and HasSavedStateError come before anything is
        touched. Volumes made for it alone go too, unless `keep_volumes`, or something else
        needs them; InUseError where that cannot be told.
        """


@runtime_checkable
class Updates(Protocol):
    """Changing existing resources."""

    async def update(self, id: str, update: ResourceUpdate) -> Updated:
        """Change what `update` names, at once where the engine can; for an active
        resource `restart_required` names the paths, such as "domain.vcpus", of what takes
        effect at its next start. What this engine cannot change raises
        CapabilityMissingError before anything is changed.
        """


@runtime_checkable
class Stats(Protocol):
    """Measuring what resources use."""

    async def stats(self, ids: Collection[str]) -> Mapping[str, ResourceStats]:
        """Take one sample of each of these resources, by id. One that is not active, or
        not there, has none; one that hangs does not hold up the others for long.
        """


@runtime_checkable
class Containers(Protocol):
    """Making containers."""

    async def create_container(
        self, spec: ContainerSpec, *, start: bool = False, on_made: OnMade = untold
    ) -> CreatedContainer:
        """Create a container, and start it if asked to.

        Raises:
            InvalidArgumentError: the engine takes no such value; with its field.
            ImageNotFoundError: the image is not on the host; nothing is pulled.
            AlreadyExistsError: the name is taken; `existing_id` in the metadata.
            InUseError: a port or an address of the host is taken.
        """

    async def prune_containers(self, which: PruneFilter = PruneFilter()) -> Pruned:
        """Remove all stopped containers that `which` lets through."""


@runtime_checkable
class Images(Protocol):
    """Container images and registries."""

    async def list_images(self, which: ImageFilter = ImageFilter()) -> list[Image]:
        """Give the images, in any order."""

    async def get_image(self, name: str) -> Image:
        """Give one image in full. Raises ImageNotFoundError."""

    def pull_image(
        self, name: str, *, platform: str = ""
    ) -> AsyncGenerator[PullProgress | Image, None]:
        """Pull an image; the last item is the Image. Closing the generator ends the pull.

        Raises:
            ImageNotFoundError: the registry has no such image.
            RegistryDeniedError: it wants other credentials.
            RegistryUnreachableError: it does not answer, or cannot at the moment.
        """

    async def delete_image(self, name: str, *, force: bool = False) -> DeletedImage:
        """Delete an image, or take a tag off it. Raises ImageNotFoundError, InUseError."""

    async def login_registry(self, credentials: RegistryCredentials) -> None:
        """Check credentials and keep them in memory for pulls.

        Raises:
            RegistryDeniedError: the registry does not take them.
            RegistryUnreachableError: it does not answer, or cannot at the moment.
        """

    async def logout_registry(self, registry: str) -> None:
        """Forget credentials; without any it does nothing."""


@runtime_checkable
class Domains(Protocol):
    """Making virtual machines."""

    async def create_domain(
        self, spec: DomainSpec, *, start: bool = False, on_made: OnMade = untold
    ) -> Resource:
        """Create a domain and its new volumes, and start it if asked to.

        Raises:
            InvalidArgumentError: the host has no such thing, such as a network or a medium;
                with the field.
            AlreadyExistsError: the name, UUID or a volume's name is taken.
            VolumeNotFoundError: a volume, base volume or pool is not there.
        """

    async def create_domain_from_xml(
        self, source: DomainXml, *, start: bool = False, on_made: OnMade = untold
    ) -> Resource:
        """Create a domain from XML. Never changes an existing one.

        Raises:
            InvalidArgumentError: with field "xml": not well-formed, not a domain, or it names
                what is not there.
            AlreadyExistsError: the name or UUID is taken.
        """

    async def get_domain_xml(self, id: str, *, inactive: bool = False) -> str:
        """Give a domain as XML, without passwords."""


@runtime_checkable
class Snapshots(Protocol):
    """Taking a resource back in time. A snapshot that is not there raises
    SnapshotNotFoundError.
    """

    async def list_snapshots(self, id: str) -> list[Snapshot]:
        """Give the snapshots of a resource, in any order."""

    async def get_snapshot(self, id: str, name: str) -> Snapshot:
        """Give one snapshot."""

    async def create_snapshot(self, id: str, spec: SnapshotSpec = SnapshotSpec()) -> Snapshot:
        """Take a snapshot, with memory if it is active.

        Raises:
            AlreadyExistsError: the name is taken.
            CapabilityMissingError: the resource can have none, as it is now.
        """

    async def revert_snapshot(
        self, id: str, name: str, state: RevertState | None = None
    ) -> Resource:
        """Take it back; None: to the state that it had in the snapshot."""

    async def delete_snapshot(self, id: str, name: str, *, children: bool = False) -> None:
        """Delete a snapshot, and with `children` those taken after it."""


@runtime_checkable
class Volumes(Protocol):
    """Volumes in storage pools. An empty pool is the host's default one, which is
    made if there is none.
    """

    async def list_volumes(self, pool: str = "") -> list[Volume]:
        """Give the volumes of a pool; of all active pools if it is empty."""

    async def create_volume(self, spec: VolumeSpec) -> Volume:
        """Create a volume. Raises AlreadyExistsError, VolumeNotFoundError, HostExhaustedError."""

    async def delete_volume(
        self, pool: str, name: str, *, ignore_unreadable: Collection[str] = ()
    ) -> None:
        """Delete a volume that nothing needs, whatever else is in its pool.

        `ignore_unreadable` names those of whom it cannot be told, and who do not count.
        Raises VolumeNotFoundError, InUseError.
        """
