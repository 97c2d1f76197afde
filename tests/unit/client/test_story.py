"""Whatever happens, a user who applies what is told ends with the daemon's picture."""

from datetime import timedelta

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import proa
from proa import v1
from proa.errors import Details
from proa.story import Story
from unit.client.watched import ENDED, RUNNING, STOPPED, Picture, Watched

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


class Follower:
    """Calls without a wire: takes as many responses as it is told to."""

    def __init__(self, watched, read_mask=()):
        self.watched = watched
        self.story = Story(None, read_mask, None)
        self.picture = Picture()
        self.told = []
        self._stream = None

    def _hear(self, events):
        self.told += events
        for event in events:
            self.picture.apply(event)

    def read(self, most=None):
        """Take so many responses; None: until there is no more and the picture is complete."""
        while most is None or most > 0:
            if self._stream is None:
                self._stream = self.watched.open(self.story.request())
            if self._stream is None:
                self._hear(self.story.fail(COMPACTED))
            elif self._stream.pending:
                self._hear(self.story.take(self._stream.pending.popleft()))
            elif self._stream.ending is ENDED:
                self._stream = None
                self._hear(self.story.fail(UNAVAILABLE))
            else:
                return
            most = None if most is None else most - 1


def happen(watched, step, *arguments):
    match step:
        case "remove":
            if arguments[0] in watched.things:
                watched.remove(*arguments)
        case "restart":
            watched.restart()
            watched.drop()
        case "gap":
            watched.gap(*arguments)
        case _:
            getattr(watched, step)(*arguments)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(STEPS, st.integers(0, 6))), st.sampled_from([(), ("state",)]))
def test_the_picture_is_always_the_daemons(steps, read_mask):
    watched = Watched()
    watched.put("a")
    follower = Follower(watched, read_mask)
    follower.read(1)
    for step, reads in steps:
        happen(watched, *step)
        follower.read(reads)
    watched.cut_next(None)
    watched.find_engine()
    follower.read()
    now = {id: one.state for id, one in watched.things.items()}
    told = {id: v1.Resource.FromString(one).state for id, one in follower.picture.now.items()}
    assert told == now
    assert read_mask or follower.picture.agrees_with(watched)
    assert follower.picture.synced
    lost = [event for event in follower.told if isinstance(event, proa.Disconnected)]
    back = [event for event in follower.told if isinstance(event, proa.Reconnected)]
    assert len(lost) == len(back)


def types(events):
    return [
        (v1.ChangeType.Name(event.type).removeprefix("CHANGE_TYPE_"), event.resource.id)
        if isinstance(event, proa.Change)
        else type(event).__name__
        for event in events
    ]


@pytest.fixture
def watched():
    watched = Watched()
    for id in ("a", "b", "c"):
        watched.put(id)
    return watched


@pytest.fixture
def follower(watched):
    follower = Follower(watched)
    follower.read()
    assert types(follower.told) == [*(("EXISTING", id) for id in "abc"), "Synced"]
    follower.told.clear()
    return follower


def test_changes_are_handed_on_whole(watched, follower):
    watched.put("a", STOPPED)
    follower.read()
    [change] = follower.told
    assert change == proa.Change(
        v1.CHANGE_TYPE_MODIFIED, watched.things["a"], RUNNING, v1.CHANGE_CAUSE_API, "ann"
    )


def test_a_break_is_told_and_nothing_is_lost_or_told_twice(watched, follower):
    watched.drop()
    watched.put("d")
    watched.remove("d")
    watched.put("a", STOPPED)
    follower.read()
    assert types(follower.told) == [
        "Disconnected",
        "Reconnected",
        ("ADDED", "d"),
        ("REMOVED", "d"),
        ("MODIFIED", "a"),
    ]


def test_a_restarted_daemon_with_nothing_new_tells_no_change(watched, follower):
    watched.restart()
    watched.drop()
    follower.read()
    assert types(follower.told) == ["Disconnected", "Gap", "Reconnected", "Synced"]
    gap = follower.told[1]
    assert gap == proa.Gap(v1.GAP_KIND_WATCH_RESTARTED, message="too long ago")


@pytest.mark.parametrize("cause", ["restarted daemon", "compaction", "slow watcher"])
def test_what_differs_after_a_gap_is_told_as_changes(watched, follower, cause):
    if cause == "restarted daemon":
        watched.restart()
    if cause != "slow watcher":
        watched.drop()
    watched.remove("a")
    watched.put("b", STOPPED)
    watched.put("d")
    if cause == "compaction":
        watched.compact()
    if cause == "slow watcher":
        watched.gap(v1.GAP_KIND_WATCH_RESTARTED)
    follower.read()
    changes = [event for event in follower.told if isinstance(event, proa.Change)]
    assert types(changes) == [("MODIFIED", "b"), ("ADDED", "d"), ("REMOVED", "a")]
    assert [change.previous_state for change in changes] == [RUNNING, 0, RUNNING]
    assert {change.cause for change in changes} == {v1.CHANGE_CAUSE_UNSPECIFIED}
    assert types(follower.told)[-1] == "Synced"
    assert "Gap" in types(follower.told)


def test_an_activity_that_ended_with_the_daemon_is_told(watched, follower):
    watched.put("a", activity=v1.Activity(verb=v1.VERB_STOP, step="waiting"))
    follower.read()
    watched.restart()
    watched.things["a"].ClearField("activity")
    watched.drop()
    follower.read()
    assert types(follower.told)[-2:] == [("MODIFIED", "a"), "Synced"]


def test_an_initial_state_that_is_cut_off_goes_on_as_one(watched):
    follower = Follower(watched)
    watched.cut_next(2)
    follower.read(2)
    watched.remove("a")
    watched.put("b", STOPPED)
    watched.put("d")
    follower.read()
    assert types(follower.told) == [
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


def test_gaps_of_engines_are_handed_on(watched, follower):
    watched.gap(v1.GAP_KIND_ENGINE_LOST, "local/docker")
    watched.gap(v1.GAP_KIND_ENGINE_RESYNCED, "local/docker")
    follower.read()
    assert follower.told == [
        proa.Gap(v1.GAP_KIND_ENGINE_LOST, "local/docker", "why"),
        proa.Gap(v1.GAP_KIND_ENGINE_RESYNCED, "local/docker", "why"),
    ]


def test_what_a_lost_engine_had_stays_as_last_known(watched, follower):
    watched.put("vm", kind=v1.RESOURCE_KIND_DOMAIN)
    follower.read()
    follower.told.clear()
    watched.lose_engine()
    follower.read()
    # Nobody knows of the containers now; the domain is gone, its engine would tell of it.
    assert types(follower.told) == [
        "Disconnected",
        "Gap",
        "Reconnected",
        "Gap",
        ("REMOVED", "vm"),
        "Synced",
    ]
    assert follower.told[3].kind == v1.GAP_KIND_ENGINE_LOST
    follower.told.clear()
    watched.remove("a")
    watched.remove("vm")
    watched.put("b", STOPPED)
    watched.put("d")
    watched.find_engine()
    follower.read()
    assert types(follower.told) == [("MODIFIED", "b"), ("ADDED", "d"), ("REMOVED", "a"), "Gap"]
    assert follower.picture.agrees_with(watched)


def test_a_token_that_a_newer_daemon_does_not_know_is_dropped(watched, follower):
    watched.drop()
    follower.story.request()
    error = proa.InvalidArgument(
        grpc.StatusCode.INVALID_ARGUMENT, Details("no token", "INVALID_ARGUMENT")
    )
    assert types(follower.story.fail(error)) == ["Gap"]
    assert not follower.story.request().resume_token
    with pytest.raises(proa.InvalidArgument):
        follower.story.fail(error)


def test_the_same_uuid_on_two_hosts_is_two_resources():
    def existing(host):
        resource = v1.Resource(id="u", host=host, kind=v1.RESOURCE_KIND_DOMAIN)
        change = v1.ResourceChange(type=v1.CHANGE_TYPE_EXISTING, resource=resource)
        return v1.WatchResourcesResponse(events=[v1.WatchEvent(change=change)])

    story = Story(None, (), None)
    told = story.take(existing("one")) + story.take(existing("two"))
    assert [event.resource.host for event in told] == ["one", "two"]


def test_with_a_read_mask_resources_are_told_apart():
    paths = Story(None, ["name", "id"], None).request().read_mask.paths
    assert paths == ["name", "id", "kind", "host"]
    assert not Story(None, (), None).request().HasField("read_mask")


def test_the_pause_grows_and_is_never_the_same(watched, follower):
    waits = []
    for _ in range(12):
        follower.story.request()
        follower.story.fail(UNAVAILABLE)
        waits.append(follower.story.wait)
    assert len(set(waits)) == 12
    assert waits[0] <= 0.1
    assert max(waits) > 0.5
    assert max(waits) <= 5


def test_the_daemons_own_word_on_when_to_come_back_is_heeded(follower):
    details = Details("stopping", "SHUTTING_DOWN", retry_after=timedelta(seconds=3))
    follower.story.fail(proa.Unavailable(grpc.StatusCode.UNAVAILABLE, details))
    assert follower.story.wait >= 3


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
def test_what_another_call_does_not_cure_is_raised(follower, kind, code, reason):
    follower.story.request()
    with pytest.raises(kind):
        follower.story.fail(kind(grpc.StatusCode[code], Details("no", reason)))


@pytest.mark.parametrize("code", ["INTERNAL", "UNKNOWN", "CANCELLED", "DEADLINE_EXCEEDED"])
def test_what_is_not_the_daemons_own_word_is_tried_again(follower, code):
    [event] = follower.story.fail(proa.Error(grpc.StatusCode[code], Details("reset")))
    assert isinstance(event, proa.Disconnected)
