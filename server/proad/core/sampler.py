"""Sampling what the resources of one engine use: each once, however many clients listen."""

import asyncio
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from math import inf

import structlog

from proad.core.engine_connection import EngineConnection
from proad.core.inventory import Inventory
from proad.core.tenancy import EVERYTHING, Visibility
from proad.errors import ProaError
from proad.model import (
    ACTIVE,
    MissingSample,
    MissingSampleReason,
    Resource,
    ResourceFilter,
    ResourceStats,
)
from proad.ports import Stats

_log = structlog.get_logger(__name__)

# Characters of why an engine did not answer: each resource without a sample repeats them.
_LONGEST_FAILURE = 400

_NEVER: tuple[float, None] = (-inf, None)


@dataclass(frozen=True, slots=True, eq=False)
class SampleRequest:
    """A request for one sample of each active resource, begun after `since`.

    Attributes:
        ids: full ids of the resources; None: all that `which` lets through.
        since: time of the event loop.
        which: the filter, where no ids are given.
        visibility: what the caller may see.
    """

    ids: Collection[str] | None
    since: float
    which: ResourceFilter = field(default_factory=ResourceFilter)
    visibility: Visibility = EVERYTHING


class Sampler:
    """Samples the resources of one engine while somebody waits for samples.

    Args:
        connection: the connection to the engine.
        driver: the driver of the engine.
        inventory: knows which resources are active.
        retry_after: seconds from a failed call of the driver to the next one.
    """

    def __init__(
        self,
        connection: EngineConnection,
        driver: Stats,
        inventory: Inventory,
        *,
        retry_after: float,
    ) -> None:
        self.connection = connection
        self._driver = driver
        self._inventory = inventory
        self._retry_after = retry_after
        # By id: when the last sample was begun, and the sample, if the driver returned one.
        self._samples: dict[str, tuple[float, ResourceStats | None]] = {}
        # Why the last call of the driver failed; empty if it did not.
        self._failure = ""
        self._requests: set[SampleRequest] = set()
        self._task: asyncio.Task[None] | None = None

    async def sample(self, request: SampleRequest) -> None:
        """Wait until a request can be answered, or the engine is known to be lost."""
        self._requests.add(request)
        try:
            while self._pending(request):
                if self._task is None or self._task.done():
                    self._task = asyncio.create_task(self._call_driver())
                await asyncio.shield(self._task)
        finally:
            self._requests.discard(request)
            if not self._requests and self._task is not None:
                self._task.cancel()
                self._task = None

    def samples(self, request: SampleRequest) -> Iterator[ResourceStats]:
        """Yield the samples that a request asks for and that there are."""
        for id in self._samples if request.ids is None else request.ids:
            begun, sample = self._samples.get(id, _NEVER)
            if sample is not None and begun > request.since and self._asks(request, id):
                yield sample

    def missing(self, request: SampleRequest) -> Iterator[MissingSample]:
        """Yield the resources without a sample, and why; not those about to be sampled."""
        ids = request.ids
        if ids is None:
            ids = {id for id, (_, sample) in self._samples.items() if sample is None}
            ids |= self._pending(request) if self._failure else set()
        for id in ids:
            entry = self._inventory.entry(self.connection, id)
            begun, sample = self._samples.get(id, _NEVER)
            if entry is None or (sample is not None and begun > request.since):
                continue
            if not self._asks(request, id):
                continue
            resource = entry.published
            if resource.state not in ACTIVE:
                if request.ids is not None:
                    yield self._missing(
                        resource,
                        MissingSampleReason.NOT_ACTIVE,
                        f"{resource.name!r} is {resource.state}: what does not run uses nothing",
                    )
            elif begun > request.since or self._failure:
                yield self._missing(
                    resource,
                    MissingSampleReason.NOT_TOLD,
                    self._failure
                    or f"{self.connection.driver.name} gave no numbers of {resource.name!r}: it "
                    "hangs, has just ended, or this host does not count what it uses",
                )

    def _missing(
        self, resource: Resource, reason: MissingSampleReason, message: str
    ) -> MissingSample:
        return MissingSample(
            id=resource.id,
            kind=resource.kind,
            name=resource.name,
            engine=self.connection.ref,
            reason=reason,
            message=message,
        )

    def _pending(self, request: SampleRequest) -> set[str]:
        """Return the ids that are still to be sampled for a request."""
        if self.connection.lost:
            return set()
        if request.ids is None:
            active = [
                r.id
                for r in self._inventory.all(self.connection, request.visibility)
                if r.state in ACTIVE and request.which.matches(r)
            ]
        else:
            active = [id for id in request.ids if self._is_active(id)]
        return {id for id in active if self._samples.get(id, _NEVER)[0] <= request.since}

    def _asks(self, request: SampleRequest, id: str) -> bool:
        """Return whether a request is about a resource."""
        entry = self._inventory.entry(self.connection, id)
        if entry is None or not request.visibility.shows(entry.published):
            return False
        return request.ids is not None or request.which.matches(entry.published)

    def _is_active(self, id: str) -> bool:
        entry = self._inventory.entry(self.connection, id)
        return entry is not None and entry.published.state in ACTIVE

    async def _call_driver(self) -> None:
        """Sample once everything that any request still waits for."""
        begun = asyncio.get_running_loop().time()
        ids = {id for request in self._requests for id in self._pending(request)}
        if not ids:
            return
        try:
            samples = await self.connection.read(lambda: self._driver.stats(ids))
        except Exception as error:  # noqa: BLE001 - a fault of a driver must not end every stream
            reason = "see the daemon's log"
            if isinstance(error, ProaError):  # health and GetHost report those
                reason = error.message[:_LONGEST_FAILURE]
            else:
                _log.exception("sampling failed", engine=str(self.connection.ref))
            self._failure = f"{self.connection.driver.name} could not be asked: {reason}"
            await asyncio.sleep(self._retry_after)
            return
        self._failure = ""
        self._samples = {id: each for id, each in self._samples.items() if self._is_active(id)}
        self._samples.update((id, (begun, samples.get(id))) for id in ids)
