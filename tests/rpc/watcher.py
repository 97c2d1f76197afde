"""A client of WatchResources that keeps the received resources."""

import asyncio

from proa import v1
from rpc.daemon import RPCS, Refusal

CHANGE_TYPES = {
    v1.CHANGE_TYPE_EXISTING: "EXISTING",
    v1.CHANGE_TYPE_ADDED: "ADDED",
    v1.CHANGE_TYPE_MODIFIED: "MODIFIED",
    v1.CHANGE_TYPE_REMOVED: "REMOVED",
}


class Watcher:
    """Reads a watch; `there` is what it believes there is.

    Args:
        daemon: what is asked.
        token: whose call it is; both scopes by default.
        channel: another one than the daemon's.
        request: fields of WatchResourcesRequest.
    """

    def __init__(self, daemon, *, token=None, channel=None, **request):
        rpc = RPCS["WatchResources"]
        self.call = daemon.send(
            rpc,
            rpc.request(**request),
            token=token or daemon.token("basic", "advanced"),
            timeout=None,
            channel=channel,
        )
        self.there = {}
        self.changes = []
        self.gaps = []
        self.heartbeats = 0
        self.synced = 0
        self.resume_token = ""

    async def read(self, seconds=30):
        """Read one message."""
        response = await asyncio.wait_for(self.call.read(), seconds)
        assert response, "the watch has ended"
        for event in response.events:
            getattr(self, f"_{event.WhichOneof('event')}")(event)
        self.resume_token = response.resume_token or self.resume_token
        return response

    async def until(self, condition, seconds=30):
        """Read until `condition()` holds."""
        async with asyncio.timeout(seconds):
            while not condition():
                await self.read(seconds)

    def there_by_name(self, name):
        """Return the resource of a name."""
        return next(each for each in self.there.values() if each.name == name)

    async def begin(self):
        """Read the initial state."""
        await self.until(lambda: self.synced)
        return self

    async def end(self, seconds=30):
        """Read until the daemon ends the watch, and return the refusal."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    await self.read(seconds)
        except (TimeoutError, AssertionError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever gRPC raises
            return Refusal.of(error)

    @property
    def changes_by_name(self):
        """Return the changes in short form."""
        return [(CHANGE_TYPES[c.type], c.resource.name) for c in self.changes]

    def state_of(self, name):
        """Return the state of a resource, without its prefix; None if it is absent."""
        for resource in self.there.values():
            if resource.name == name:
                return v1.ResourceState.Name(resource.state).removeprefix("RESOURCE_STATE_")
        return None

    def _change(self, event):
        change = event.change
        self.changes.append(change)
        if change.type == v1.CHANGE_TYPE_REMOVED:
            self.there.pop(change.resource.id)
        else:
            self.there[change.resource.id] = change.resource

    def _bookmark(self, event):
        if event.bookmark.synced:
            self.synced += 1
        else:
            self.heartbeats += 1

    def _gap(self, event):
        self.gaps.append(v1.GapKind.Name(event.gap.kind).removeprefix("GAP_KIND_"))
        if event.gap.kind == v1.GAP_KIND_WATCH_RESTARTED:
            self.there.clear()
