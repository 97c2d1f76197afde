"""Watching resources: which engines a watch covers, and where it goes on."""

from collections.abc import AsyncIterator
from datetime import timedelta

from proad.core.hosts import Hosts
from proad.core.inventory import Batch, Inventory, ResumePoint, Selection, watch
from proad.core.tenancy import current_visibility
from proad.model import ResourceFilter


class WatchService:
    """Starts watches on the engines that a filter covers, and ends them with the daemon.

    Args:
        hosts: the host connections.
        inventory: the inventory.
    """

    def __init__(self, hosts: Hosts, inventory: Inventory) -> None:
        self._hosts = hosts
        self._inventory = inventory

    @property
    def epoch(self) -> str:
        """Distinguishes revisions of this run of the daemon from those of other runs."""
        return self._inventory.epoch

    def point(self, revision: int) -> ResumePoint:
        """Return the point from which the current caller goes on after a revision."""
        return ResumePoint(self.epoch, revision, visibility=current_visibility().digest)

    def follow(
        self,
        which: ResourceFilter,
        *,
        heartbeat: timedelta,
        after: ResumePoint | None = None,
    ) -> AsyncIterator[Batch]:
        """Yield the resources and then each change; see `inventory.watch`.

        Args:
            which: the resources.
            heartbeat: the longest time without an event.
            after: where the watch goes on; None: begin with the initial state.

        Raises:
            HostNotFoundError: the filter names a host that is not configured.
            RevisionCompactedError: the changes after `after` are no longer kept, or not those of
                what the caller may see now.
            ShuttingDownError: the daemon is stopping.
        """
        selection = Selection(which, self._hosts.covered(which), current_visibility())
        return watch(self._inventory, selection, heartbeat=heartbeat, after=after)

    def close(self) -> None:
        """End all watches: the daemon is stopping."""
        self._inventory.close()
