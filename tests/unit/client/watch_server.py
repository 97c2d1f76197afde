"""A daemon's watches in small, and all that can happen to them, at a word."""

import threading
from collections import deque

import proa
from proa import v1

RUNNING, STOPPED = v1.RESOURCE_STATE_RUNNING, v1.RESOURCE_STATE_STOPPED
ENDED = object()


DOCKER = v1.EngineRef(host="local", driver="docker")
LIBVIRT = v1.EngineRef(host="local", driver="libvirt")


class Stream:
    """One call: what it is still to send."""

    def __init__(self, mask):
        self.pending: deque[v1.WatchResourcesResponse] = deque()
        self.ending = None
        self._mask = mask

    def send(self, *events, token=""):
        shown = []
        for event in events:
            copy = v1.WatchEvent()
            copy.CopyFrom(event)
            if self._mask.paths and copy.HasField("change"):
                whole = event.change.resource
                copy.change.resource.Clear()
                self._mask.MergeMessage(whole, copy.change.resource)
            shown.append(copy)
        self.pending.append(v1.WatchResourcesResponse(events=shown, resume_token=token))


class WatchServer:
    """What there is, what was, and who watches. Only its own methods change it."""

    def __init__(self):
        self.changed = threading.Condition(threading.RLock())
        self.requests = []
        self.streams = []
        self.resources = {}
        self._run = 1
        self._revision = 0
        self._log = []
        self._floor = 0
        self._cut = None
        self._lost = False
        self.mute = False

    # What happens to resources.

    def put(self, id, state=RUNNING, **fields):
        """Make a resource, or make it another."""
        with self.changed:
            before = self.resources.get(id)
            self._revision += 1
            fields = {
                "name": f"name-{id}",
                "kind": v1.RESOURCE_KIND_CONTAINER,
                "engine": DOCKER,
                **fields,
            }
            resource = v1.Resource(id=id, path=f"local/container/{id}", state=state, **fields)
            self.resources[id] = self._stamped(resource)
            type = v1.CHANGE_TYPE_ADDED if before is None else v1.CHANGE_TYPE_MODIFIED
            self._tell(type, self.resources[id], before)

    def remove(self, id):
        with self.changed:
            self._revision += 1
            gone = self.resources.pop(id)
            self._tell(v1.CHANGE_TYPE_REMOVED, gone, gone)

    def _stamped(self, resource):
        stamped = v1.Resource()
        stamped.CopyFrom(resource)
        stamped.revision = self._revision
        stamped.etag = f"{self._run}-{self._revision}"
        stamped.observe_time.FromSeconds(1000 * self._run + self._revision)
        return stamped

    def _tell(self, type, resource, before):
        if self._lost:
            return
        change = v1.ResourceChange(
            type=type,
            resource=resource,
            previous_state=before.state if before else v1.RESOURCE_STATE_UNSPECIFIED,
            cause=v1.CHANGE_CAUSE_API,
            actor="ann",
        )
        event = v1.WatchEvent(change=change)
        self._log.append((self._revision, event))
        for stream in self.streams:
            stream.send(event, token=self.token)
        self.changed.notify_all()

    # What happens to watches.

    @property
    def token(self):
        return f"{self._run}:{self._revision}"

    def gap(self, kind, engine=None):
        """Send every watcher a gap; one that was too slow begins anew."""
        event = v1.WatchEvent(gap=v1.Gap(kind=kind, engine=engine, message="why"))
        with self.changed:
            self._revision += 1
            if engine:
                self._log.append((self._revision, event))
            for stream in self.streams:
                if kind == v1.GAP_KIND_WATCH_RESTARTED:
                    stream.pending.clear()
                    stream.send(event)
                    self._initial(stream)
                else:
                    stream.send(event, token=self.token)
            # One whose initial state was cut has ended: nothing follows on it.
            self.streams = [stream for stream in self.streams if stream.ending is None]
            self.changed.notify_all()

    def lose_engine(self):
        """Begin another run without the engine: it knows of no resource, and says so."""
        self.restart()
        self._lost = True
        self.drop()

    def find_engine(self):
        """Read the engine's resources: what there is now is told, and then the gap."""
        with self.changed:
            if self._lost:
                self._lost = False
                for resource in self.resources.values():
                    self._revision += 1
                    self._tell(v1.CHANGE_TYPE_ADDED, resource, None)
                self.gap(v1.GAP_KIND_ENGINE_RESYNCED, DOCKER)

    def heartbeat(self):
        with self.changed:
            for stream in self.streams:
                stream.send(v1.WatchEvent(bookmark=v1.Bookmark()), token=self.token)
            self.changed.notify_all()

    def drop(self, status=None):
        """End every watch; what was not sent yet is lost. Without a status: well."""
        with self.changed:
            for stream in self.streams:
                stream.pending.clear()
                stream.ending = status or ENDED
            self.streams.clear()
            self.changed.notify_all()

    def restart(self):
        """Begin another run: no token is good any more, all revisions and etags are new."""
        with self.changed:
            self._run += 1
            self._revision = 1
            self._log.clear()
            self._floor = 0
            self.resources = {
                id: self._stamped(resource) for id, resource in self.resources.items()
            }

    def compact(self):
        """Forget what was."""
        with self.changed:
            self._log.clear()
            self._floor = self._revision

    def cut_next(self, after):
        """Let the next watch that begins anew end after some resources of its initial state."""
        self._cut = after

    def open(self, request):
        """Begin a watch; None: its token is good no more."""
        with self.changed:
            self.requests.append(v1.WatchResourcesRequest.FromString(request.SerializeToString()))
            stream = Stream(request.read_mask)
            if request.resume_token:
                run, revision = (int(part) for part in request.resume_token.split(":"))
                if run != self._run or revision < self._floor:
                    self.changed.notify_all()
                    return None
                for at, event in self._log:
                    if at > revision:
                        stream.send(event, token=f"{run}:{at}")
                stream.send(v1.WatchEvent(bookmark=v1.Bookmark()), token=self.token)
            else:
                self._initial(stream)
            if stream.ending is None:
                self.streams.append(stream)
            self.changed.notify_all()
            return stream

    def _initial(self, stream):
        resources = () if self._lost else self.resources.values()
        for number, resource in enumerate(resources):
            if number == self._cut:
                self._cut, stream.ending = None, ENDED
                return
            change = v1.ResourceChange(type=v1.CHANGE_TYPE_EXISTING, resource=resource)
            stream.send(v1.WatchEvent(change=change))
        if self._lost:
            gap = v1.Gap(kind=v1.GAP_KIND_ENGINE_LOST, engine=DOCKER, message="why")
            stream.send(v1.WatchEvent(gap=gap))
        stream.send(v1.WatchEvent(bookmark=v1.Bookmark(synced=True)), token=self.token)

    def wait_for_watches(self, count):
        """Wait until so many calls have come, all told."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.requests) >= count, 30)

    def wait_for_nobody(self):
        """Wait until no call is left."""
        with self.changed:
            assert self.changed.wait_for(lambda: not self.streams, 30)

    # The RPC.

    def serve(self, request, context, fail, compacted):
        """Serve a call: yields responses; `fail` ends it with a status."""
        stream = self.open(request)
        if stream is None:
            fail(compacted)
            return

        def leave():
            with self.changed:
                if stream in self.streams:
                    self.streams.remove(stream)
                self.changed.notify_all()

        context.add_callback(leave)
        while context.is_active():
            with self.changed:
                self.changed.wait_for(
                    lambda: (
                        not context.is_active()
                        or (not self.mute and (stream.pending or stream.ending))
                    )
                )
                response = stream.pending.popleft() if stream.pending else None
            if response is not None:
                yield response
            elif stream.ending is ENDED:
                return
            elif stream.ending is not None:
                fail(stream.ending)


def content(resource):
    """Return what of a resource outlives a restart of the daemon."""
    copy = v1.Resource()
    copy.CopyFrom(resource)
    for field in ("etag", "revision", "observe_time"):
        copy.ClearField(field)
    return copy.SerializeToString(deterministic=True)


class Replica:
    """A user who applies what a watch tells to a dictionary, and is strict about it."""

    def __init__(self):
        self.now = {}
        self.synced = 0

    def apply(self, event):
        match event:
            case proa.Synced():
                self.synced += 1
            case proa.Change(type=v1.CHANGE_TYPE_EXISTING, resource=one):
                assert one.id not in self.now
                assert not self.synced
                self.now[one.id] = content(one)
            case proa.Change(type=v1.CHANGE_TYPE_ADDED, resource=one):
                assert one.id not in self.now
                self.now[one.id] = content(one)
            case proa.Change(type=v1.CHANGE_TYPE_MODIFIED, resource=one):
                assert one.id in self.now
                self.now[one.id] = content(one)
            case proa.Change(type=v1.CHANGE_TYPE_REMOVED, resource=one):
                del self.now[one.id]

    def agrees_with(self, watch_server):
        return self.now == {id: content(one) for id, one in watch_server.resources.items()}
