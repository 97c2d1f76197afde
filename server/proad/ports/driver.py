"""The port of every driver: its identity, its connection, the lives of its resources."""

from asyncio import Future
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from types import TracebackType
from typing import Never, Protocol, Self, runtime_checkable

from proad.model import (
    Capability,
    DeleteOptions,
    EngineInfo,
    Resource,
    ResourceKind,
    ResourceView,
    RestartOptions,
    StartOptions,
    StopMode,
    StopOptions,
)
from proad.ports.callbacks import Begin, OnEvent, OnStep, at_once, ignore
from proad.ports.records import EngineIdentity


@runtime_checkable
class Driver(Protocol):
    """An adapter to one engine."""

    @property
    def name(self) -> str:
        """Name of the driver: "docker", "libvirt" or "memory"."""

    @property
    def endpoint(self) -> str:
        """Address of the engine, without credentials."""

    @property
    def kinds(self) -> tuple[ResourceKind, ...]:
        """Kinds of the engine's resources."""

    @property
    def stop_modes(self) -> frozenset[StopMode]:
        """Modes that `stop` supports. Any other mode raises CapabilityMissingError."""

    @property
    def lacks(self) -> frozenset[Capability]:
        """Capabilities whose protocols its class has, but which this engine can never offer.

        Such as where it is on another host. Their methods raise CapabilityMissingError.
        """

    @property
    def full_view_age(self) -> timedelta | None:
        """Age up to which a FULL view may be served without an event in between.

        None: any, because an event follows each change of the FULL view.
        """

    async def __aenter__(self) -> Self:
        """Start the driver's threads. The engine need not answer yet."""

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Disconnect from the engine. Stop no workload, and wait for no hung call."""

    async def probe(self) -> EngineInfo:
        """Return the engine's description; connect, or reconnect, where needed.

        The core calls this every few seconds, so a probe must be cheap.
        """

    async def identity(self) -> EngineIdentity:
        """Return what identifies the engine, whatever its address and the name of its host.

        Asked of the engine each time. Another engine under the same address has another
        identity, and so has the same one with another set of resources.
        """

    async def list_resources(self, view: ResourceView = ResourceView.SUMMARY) -> list[Resource]:
        """Return all resources, in any order. A SUMMARY costs no call per resource."""

    async def get_resource(self, id: str, view: ResourceView = ResourceView.FULL) -> Resource:
        """Return one resource."""

    async def find_id(self, name: str) -> str:
        """Return the full id of the resource with a name; empty if there is none.

        No hung resource delays the answer. `name` may be what no name can be.
        """

    def subscribe(self, on_event: OnEvent) -> AbstractAsyncContextManager[Future[Never]]:
        """Call `on_event` for each event of the engine's resources while the block lasts.

        Entering the block subscribes: every change from then on is followed by an event, at
        the latest some milliseconds after the engine shows the change. This holds for each
        change of a SUMMARY, and of the FULL view except for what `full_view_age` is for.
        Events are hints: several may come for one change, or one for nothing. The driver
        coalesces only events that wait until the engine shows their change; the event of
        its own `pause` or `resume` may come a moment later than that.

        The block receives a future that never has a result. The future fails with
        EngineUnreachableError when the engine, or its stream of events, is lost, and with
        the exception of `on_event` when that raises: in both cases events may be missing,
        and no more come. No event comes after the block.

        Raises:
            EngineUnreachableError: the engine does not answer.
        """

    async def start(self, id: str, options: StartOptions = StartOptions()) -> Resource:
        """Start a resource; resume one that is PAUSED or SUSPENDED.

        Raises:
            CapabilityMissingError: the engine lacks one of the options.
        """

    async def stop(
        self, id: str, options: StopOptions = StopOptions(), *, on_step: OnStep = ignore
    ) -> Resource:
        """Stop a resource as the contract's StopMode says.

        GRACEFUL kills nothing. FORCE takes effect while a graceful stop waits, which then ends
        well. A TRANSIENT resource is returned as it last was, STOPPED. Cancelling a graceful
        stop does not withdraw the request from the guest.

        Raises:
            StopTimedOutError: a GRACEFUL stop did not end within its grace period.
        """

    async def restart(
        self, id: str, options: RestartOptions = RestartOptions(), *, on_step: OnStep = ignore
    ) -> Resource:
        """Restart a resource as the contract's RestartMode says."""

    async def pause(self, id: str) -> Resource:
        """Freeze a resource in memory."""

    async def resume(self, id: str) -> Resource:
        """Resume a paused resource; wake one that is SUSPENDED."""

    async def delete(
        self, id: str, options: DeleteOptions = DeleteOptions(), *, begin: Begin = at_once
    ) -> Resource:
        """Delete a resource and return it as it last was.

        Volumes that were made for this resource alone are deleted, too, except with
        `keep_volumes` or where something else needs them.

        Raises:
            HasSnapshotsError, HasSavedStateError: a guard applies; nothing was changed.
            InUseError: the driver cannot find out whether something else needs a volume.
        """
