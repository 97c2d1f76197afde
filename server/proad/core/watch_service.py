"""Watching resources: which engines a watch covers, and where it goes on."""

from collections.abc import AsyncIterator
from datetime import timedelta

from proad.core.hosts import Hosts
from proad.core.inventory import Batch, Inventory, watch
from proad.errors import RevisionCompactedError
from proad.model import ResourceFilter


class WatchService:
    """What WatchResources does."""

    def __init__(self, hosts: Hosts, inventory: Inventory) -> None:
        self._hosts = hosts
        self._inventory = inventory

    @property
    def run_id(self) -> str:
        """Tells the revisions of this run of the daemon from those of another one."""
        return self._inventory.run_id

    def follow(
        self,
        which: ResourceFilter,
        *,
        heartbeat: timedelta,
        after: tuple[str, int] | None = None,
    ) -> AsyncIterator[Batch]:
        """Give what there is and then each change; see `inventory.watch`.

        Args:
            which: the resources.
            heartbeat: how long nothing may come.
            after: the run and the revision to go on after; None: begin anew.

        Raises:
            HostNotFoundError: the filter names a host that there is not.
            RevisionCompactedError: what came after `after` is not known any more.
            ShuttingDownError: the daemon is stopping.
        """
        connections = self._hosts.covered(which)
        revision = None
        if after is not None:
            run_id, revision = after
            if run_id != self.run_id:
                raise RevisionCompactedError
        return watch(self._inventory, which, connections, heartbeat=heartbeat, revision=revision)

    def close(self) -> None:
        """End all watches: the daemon is stopping."""
        self._inventory.close()
