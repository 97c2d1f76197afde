"""Whatever happens, a user who applies what is told ends with the daemon's replica."""

import time
from datetime import timedelta

import grpc
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import proa
from proa import v1
from proa.errors import Details
from proa.watch_state import WatchState
from unit.client.watch_server import DOCKER, ENDED, LIBVIRT, RUNNING, STOPPED, Replica, WatchServer

IDS = st.sampled_from(["a", "b", "c", "d", "e"])
STEPS = st.one_of(
    st.tuples(st.just("put"), IDS, st.sampled_from([RUNNING, STOPPED])),
    st.tuples(st.just("remove"), IDS),
    st.tuples(
        st.sampled_from(["drop", "restart", "compact", "heartbeat", "lose_engine", "find_engine"])
    ),
    st.tuples(
        st.just("gap"), st.sampled_from([v1.GAP_KIND_WATCH_RESTARTED, v1.GAP_KIND_ENGINE_LOST])
    ),
    st.tuples(st.just("cut_next"), st.integers(0, 4)),
)
UNAVAILABLE = proa.Unavailable(grpc.StatusCode.UNAVAILABLE, Details("gone"))
COMPACTED = proa.OutOfRange(
    grpc.StatusCode.OUT_OF_RANGE, Details("too long ago", "REVISION_COMPACTED")
)


class LocalWatcher:
    """Calls without a wire: takes as many responses as it is told to."""

    def __init__(self, watch_server, read_mask=(), clock=time.monotonic):
        self.watch_server = watch_server
        self.state = WatchState(None, read_mask, None, clock=clock)
        self.replica = Replica()
        self.events = []
        self._stream = None

    def _hear(self, events):
        self.events += events
        for event in events:
            self.replica.apply(event)

    def read(self, most=None):
        """Take so many responses; None: until there is no more and the replica is complete."""
        while most is None or most > 0:
            if self._stream is None:
                self._stream = self.watch_server.open(self.state.request())
            if self._stream is None:
                self._hear(self.state.fail(COMPACTED))
            elif self._stream.pending:
                self._hear(self.state.apply(self._stream.pending.popleft()))
            elif self._stream.ending is ENDED:
                self._stream = None
                self._hear(self.state.fail(UNAVAILABLE))
            else:
                return
            most = None if most is None else most - 1


def happen(watch_server, step, *arguments):
    match step:
        case "remove":
            if arguments[0] in watch_server.resources:
                watch_server.remove(*arguments)
        case "restart":
            watch_server.restart()
            watch_server.drop()
        case "gap":
            watch_server.gap(*arguments)
        case _:
            getattr(watch_server, step)(*arguments)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(STEPS, st.integers(0, 6))), st.sampled_from([(), ("state",)]))
@example(
    [(("cut_next", 0), 0), (("gap", v1.GAP_KIND_WATCH_RESTARTED), 0), (("put", "a", STOPPED), 0)],
    (),
)
def test_replica_after_any_steps_equals_the_daemons_state(steps, read_mask):
    watch_server = WatchServer()
    watch_server.put("a")
    watcher = LocalWatcher(watch_server, read_mask)
    watcher.read(1)
    for step, reads in steps:
        happen(watch_server, *step)
        watcher.read(reads)
    watch_server.cut_next(None)
    watch_server.find_engine()
    watcher.read()
    now = {id: one.state for id, one in watch_server.resources.items()}
    told = {id: v1.Resource.FromString(one).state for id, one in watcher.replica.now.items()}
    assert told == now
    assert read_mask or watcher.replica.agrees_with(watch_server)
    assert watcher.replica.synced
    lost = [event for event in watcher.events if isinstance(event, proa.Disconnected)]
    back = [event for event in watcher.events if isinstance(event, proa.Reconnected)]
    assert len(lost) == len(back)


def types(events):
    return [
        (v1.ChangeType.Name(event.type).removeprefix("CHANGE_TYPE_"), event.resource.id)
        if isinstance(event, proa.Change)
        else type(event).__name__
        for event in events
    ]


@pytest.fixture
def watch_server():
    watch_server = WatchServer()
    for id in ("a", "b", "c"):
        watch_server.put(id)
    return watch_server


@pytest.fixture
def watcher(watch_server):
    watcher = LocalWatcher(watch_server)
    watcher.read()
    assert types(watcher.events) == [*(("EXISTING", id) for id in "abc"), "Synced"]
    watcher.events.clear()
    return watcher


def test_apply_returns_a_change_with_all_its_fields(watch_server, watcher):
    watch_server.put("a", STOPPED)
    watcher.read()
    [change] = watcher.events
    assert change == proa.Change(
        v1.CHANGE_TYPE_MODIFIED, watch_server.resources["a"], RUNNING, v1.CHANGE_CAUSE_API, "ann"
    )


def test_fail_and_resume_yield_each_change_once(watch_server, watcher):
    watch_server.drop()
    watch_server.put("d")
    watch_server.remove("d")
    watch_server.put("a", STOPPED)
    watcher.read()
    assert types(watcher.events) == [
        "Disconnected",
        "Reconnected",
        ("ADDED", "d"),
        ("REMOVED", "d"),
        ("MODIFIED", "a"),
    ]


def test_restart_of_the_daemon_without_differences_yields_no_change(watch_server, watcher):
    watch_server.restart()
    watch_server.drop()
    watcher.read()
    assert types(watcher.events) == ["Disconnected", "Gap", "Reconnected", "Synced"]
    gap = watcher.events[1]
    assert gap == proa.Gap(v1.GAP_KIND_WATCH_RESTARTED, message="too long ago")


@pytest.mark.parametrize("cause", ["restarted daemon", "compaction", "slow watcher"])
def test_apply_after_a_gap_yields_the_differences_as_changes(watch_server, watcher, cause):
    if cause == "restarted daemon":
        watch_server.restart()
    if cause != "slow watcher":
        watch_server.drop()
    watch_server.remove("a")
    watch_server.put("b", STOPPED)
    watch_server.put("d")
    if cause == "compaction":
        watch_server.compact()
    if cause == "slow watcher":
        watch_server.gap(v1.GAP_KIND_WATCH_RESTARTED)
    watcher.read()
    changes = [event for event in watcher.events if isinstance(event, proa.Change)]
    assert types(changes) == [("MODIFIED", "b"), ("ADDED", "d"), ("REMOVED", "a")]
    assert [change.previous_state for change in changes] == [RUNNING, 0, RUNNING]
    assert {change.cause for change in changes} == {v1.CHANGE_CAUSE_UNSPECIFIED}
    assert types(watcher.events)[-1] == "Synced"
    assert "Gap" in types(watcher.events)


def test_activity_that_ended_with_the_daemon_is_a_difference(watch_server, watcher):
    watch_server.put("a", activity=v1.Activity(verb=v1.VERB_STOP, step="waiting"))
    watcher.read()
    watch_server.restart()
    watch_server.resources["a"].ClearField("activity")
    watch_server.drop()
    watcher.read()
    assert types(watcher.events)[-2:] == [("MODIFIED", "a"), "Synced"]


def test_initial_state_of_two_calls_is_reported_as_one(watch_server):
    watcher = LocalWatcher(watch_server)
    watch_server.cut_next(2)
    watcher.read(2)
    watch_server.remove("a")
    watch_server.put("b", STOPPED)
    watch_server.put("d")
    watcher.read()
    assert types(watcher.events) == [
        ("EXISTING", "a"),
        ("EXISTING", "b"),
        "Disconnected",
        "Reconnected",
        ("MODIFIED", "b"),
        ("EXISTING", "c"),
        ("EXISTING", "d"),
        ("REMOVED", "a"),
        "Synced",
    ]


def test_apply_returns_gaps_of_engines(watch_server, watcher):
    watch_server.gap(v1.GAP_KIND_ENGINE_LOST, DOCKER)
    watch_server.gap(v1.GAP_KIND_ENGINE_RESYNCED, DOCKER)
    watcher.read()
    assert watcher.events == [
        proa.Gap(v1.GAP_KIND_ENGINE_LOST, DOCKER, "why"),
        proa.Gap(v1.GAP_KIND_ENGINE_RESYNCED, DOCKER, "why"),
    ]


def test_resources_of_a_lost_engine_stay_until_it_is_resynced(watch_server, watcher):
    watch_server.put("vm", engine=LIBVIRT)
    watcher.read()
    watcher.events.clear()
    watch_server.lose_engine()
    watcher.read()
    # Nobody knows of the containers now; the domain is gone, its engine would tell of it.
    assert types(watcher.events) == [
        "Disconnected",
        "Gap",
        "Reconnected",
        "Gap",
        ("REMOVED", "vm"),
        "Synced",
    ]
    assert watcher.events[3].kind == v1.GAP_KIND_ENGINE_LOST
    watcher.events.clear()
    watch_server.remove("a")
    watch_server.remove("vm")
    watch_server.put("b", STOPPED)
    watch_server.put("d")
    watch_server.find_engine()
    watcher.read()
    assert types(watcher.events) == [("MODIFIED", "b"), ("ADDED", "d"), ("REMOVED", "a"), "Gap"]
    assert watcher.replica.agrees_with(watch_server)


def test_fail_with_an_invalid_resume_token_drops_it(watch_server, watcher):
    watch_server.drop()
    watcher.state.request()
    error = proa.InvalidArgument(
        grpc.StatusCode.INVALID_ARGUMENT, Details("no token", "INVALID_ARGUMENT")
    )
    assert types(watcher.state.fail(error)) == ["Gap"]
    assert not watcher.state.request().resume_token
    with pytest.raises(proa.InvalidArgument):
        watcher.state.fail(error)


def test_apply_of_one_uuid_on_two_hosts_yields_two_resources():
    def existing(host):
        resource = v1.Resource(id="u", path=f"{host}/domain/u", engine=v1.EngineRef(host=host))
        change = v1.ResourceChange(type=v1.CHANGE_TYPE_EXISTING, resource=resource)
        return v1.WatchResourcesResponse(events=[v1.WatchEvent(change=change)])

    state = WatchState(None, (), None)
    told = state.apply(existing("one")) + state.apply(existing("two"))
    assert [event.resource.engine.host for event in told if isinstance(event, proa.Change)] == [
        "one",
        "two",
    ]


def test_request_with_a_read_mask_has_the_identifying_fields():
    paths = WatchState(None, ["name", "id"], None).request().read_mask.paths
    assert paths == ["name", "id", "engine", "path"]
    assert not WatchState(None, (), None).request().HasField("read_mask")


def test_fail_repeatedly_lets_the_backoff_grow_at_random_up_to_its_limit(watcher):
    waits = []
    for _ in range(1100):
        watcher.state.request()
        watcher.state.fail(UNAVAILABLE)
        waits.append(watcher.state.backoff)
    assert len(set(waits)) == 1100
    assert waits[0] <= 0.1
    assert max(waits) > 0.5
    assert max(waits) <= 5


def test_fail_after_a_long_call_starts_the_backoff_anew(watch_server):
    now = 0.0
    watcher = LocalWatcher(watch_server, clock=lambda: now)
    watcher.read()
    for _ in range(20):
        watcher.state.request()
        watcher.state.fail(UNAVAILABLE)
    watcher.state.request()
    now += 10.1
    watcher.state.fail(UNAVAILABLE)
    assert watcher.state.backoff <= 0.1


def test_fail_with_retry_after_waits_as_long(watcher):
    details = Details("stopping", "SHUTTING_DOWN", retry_after=timedelta(seconds=3))
    watcher.state.fail(proa.Unavailable(grpc.StatusCode.UNAVAILABLE, details))
    assert watcher.state.backoff >= 3


@pytest.mark.parametrize(
    ("kind", "code", "reason"),
    [
        (proa.PermissionDenied, "PERMISSION_DENIED", "SCOPE_MISSING"),
        (proa.Unauthenticated, "UNAUTHENTICATED", "BAD_CREDENTIALS"),
        (proa.Unimplemented, "UNIMPLEMENTED", ""),
        (proa.Internal, "INTERNAL", "INTERNAL"),
        (proa.NotFound, "NOT_FOUND", "HOST_NOT_FOUND"),
    ],
)
def test_fail_with_a_permanent_error_raises_it(watcher, kind, code, reason):
    watcher.state.request()
    with pytest.raises(kind):
        watcher.state.fail(kind(grpc.StatusCode[code], Details("no", reason)))


@pytest.mark.parametrize("code", ["INTERNAL", "UNKNOWN", "CANCELLED", "DEADLINE_EXCEEDED"])
def test_fail_with_a_transport_error_yields_disconnected(watcher, code):
    [event] = watcher.state.fail(proa.Error(grpc.StatusCode[code], Details("reset")))
    assert isinstance(event, proa.Disconnected)
