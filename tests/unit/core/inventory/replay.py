"""The state that a watcher derives from its events."""

from proad.core.inventory import Selection, watch
from proad.model import ChangeType, GapKind
from unit.core.inventory.watched import NEVER


class Replay:
    """The resources of a watcher, built from its events alone."""

    def __init__(self, which):
        self.which = which
        self.there = {}

    async def follow(self, inventory, connection):
        selection = Selection(self.which, [connection])
        async for batch in watch(inventory, selection, heartbeat=NEVER):
            self.take(batch)

    def take(self, batch):
        for _revision, event in batch.events:
            if event.gap is not None and event.gap.kind is GapKind.WATCH_RESTARTED:
                self.there.clear()
            if (change := event.change) is None:
                continue
            id, resource = change.resource.id, change.resource
            match change.type:
                case ChangeType.EXISTING | ChangeType.ADDED:
                    assert id not in self.there
                    self.there[id] = resource
                case ChangeType.MODIFIED:
                    assert self.there[id].revision < resource.revision
                    assert self.there[id].state == change.previous_state
                    self.there[id] = resource
                case ChangeType.REMOVED:
                    del self.there[id]

    def agrees(self, published):
        """Return whether the watcher's resources equal the published ones."""
        matching = {resource.id: resource for resource in published if self.which.matches(resource)}
        return self.there == matching
