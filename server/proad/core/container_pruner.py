"""Removal of stopped containers by what callers see of them."""

import structlog

from proad.core.engine_connection import EngineConnection
from proad.core.hosts import Hosts
from proad.core.inventory import Entry, Inventory
from proad.core.requests import announce, is_only_checked, part, passing_over, tell_plan
from proad.core.resolver import ResolvedResource
from proad.core.shielded_tasks import ShieldedTasks, shielded
from proad.core.slices import TimeSlicer
from proad.core.tenancy import current_visibility
from proad.core.verb_runner import VerbRunner
from proad.errors import (
    ActivityInProgressError,
    DeletionProtectedError,
    EngineTimedOutError,
    EngineUnreachableError,
    PolicyDeniedError,
    ProaError,
    ResourceNotFoundError,
    StateError,
)
from proad.model import (
    Action,
    DeleteOptions,
    Plan,
    PlannedRemoval,
    Pruned,
    PruneFilter,
    Resource,
    Verb,
    refusal,
)
from proad.ports import Containers

_log = structlog.get_logger(__name__)

# A container that is protected, busy, running, gone by now, or that the caller may not delete, is
# not to be pruned.
_PASSED_OVER = (
    ActivityInProgressError,
    DeletionProtectedError,
    PolicyDeniedError,
    ResourceNotFoundError,
    StateError,
)


class ContainerPruner:
    """Removes stopped containers, one by one, each as DeleteResource does it.

    The engine's own prune knows neither protection nor labels that were changed here. A request that
    is only checked goes the same way, up to the removal of each.
    """

    def __init__(
        self,
        hosts: Hosts,
        verbs: VerbRunner,
        tasks: ShieldedTasks,
        inventory: Inventory,
        slicer: TimeSlicer,
    ) -> None:
        self._hosts = hosts
        self._verbs = verbs
        self._tasks = tasks
        self._inventory = inventory
        self._slicer = slicer

    @shielded
    async def prune(self, which: PruneFilter, *, host: str) -> Pruned:
        """Remove the stopped containers of a host that match; keep their volumes.

        Raises:
            EngineUnreachableError, EngineTimedOutError: the engine does not answer any more;
                some containers may have been removed.
        """
        connection, driver = self._hosts.offering(Containers, host)
        connection.check()
        intent, checked = connection.intent(Action.PRUNE_CONTAINERS), is_only_checked()
        if not checked:
            await announce(intent)
        removals: list[PlannedRemoval] = []
        listed = await connection.read(connection.driver.list_resources)
        async for observed in self._slicer.each(listed):
            if (entry := await self._matching(connection, observed, which)) is None:
                continue
            try:
                with passing_over():
                    size = await self._remove(connection, driver, entry, which)
            except _PASSED_OVER:
                continue
            except (EngineUnreachableError, EngineTimedOutError):
                raise
            except ProaError as error:  # one that its engine cannot remove spoils no other
                _log.warning("container not pruned", id=observed.id, cause=error.message)
                continue
            if size is not None:
                removal = PlannedRemoval(
                    id=observed.id,
                    path=entry.path,
                    name=entry.published.name,
                    reclaimed_bytes=size,
                )
                removals.append(removal)
        if checked:
            tell_plan(Plan.of_prune(removals))
            await announce(intent)
        return Pruned(
            container_ids=tuple(each.id for each in removals),
            reclaimed_bytes=sum(each.reclaimed_bytes for each in removals),
        )

    async def _matching(
        self, connection: EngineConnection, observed: Resource, which: PruneFilter
    ) -> Entry | None:
        """Return the entry of a container that may go; None: it stays."""
        if observed.container is None or refusal(Verb.DELETE, observed) is not None:
            return None
        entry = self._inventory.entry(connection, observed.id)
        if entry is None:
            entry = await self._inventory.refresh(connection, observed.id)
        if entry is None or not current_visibility().shows(entry.published):
            return None
        return entry if which.matches(entry.published) else None

    async def _remove(
        self, connection: EngineConnection, driver: Containers, entry: Entry, which: PruneFilter
    ) -> int | None:
        """Remove a container and return the bytes freed; None: it matches no more.

        One that is only checked is left, with the same answer.
        """
        resolved = ResolvedResource(connection, entry.published, entry.published.path)
        async with self._verbs.run(resolved, Verb.DELETE, announces=False) as run:
            if not which.matches(run.entry.published):
                return None
            size = await driver.layer_size(run.id)
            if is_only_checked():
                return size
            async with part(run.intent):
                # Without force: the engine refuses to remove what was started meanwhile.
                run.observed = await run.driver.delete(run.id, DeleteOptions(keep_volumes=True))
        return size
