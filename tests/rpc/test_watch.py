"""WatchResources over the wire."""

import asyncio
from datetime import timedelta

import pytest

from proa import v1
from proad.drivers.memory import MemoryDriver
from proad.model import StopOptions
from rpc.daemon import IMAGE, running
from rpc.watcher import Watcher

DEAF = {"proa.memory/ignores-stop": "true"}


@pytest.fixture
def watch(daemon):
    """Begin watches that end with the test."""
    begun = []

    async def start(**request):
        watcher = Watcher(daemon, **request)
        begun.append(watcher)
        return await watcher.begin()

    yield start
    for watcher in begun:
        watcher.call.cancel()


async def test_watch_initial_state_equals_a_list(daemon, watch):
    await daemon.container("web")
    await daemon.domain("vm", start=False)

    watcher = await watch()

    listed = (await daemon.call("ListResources")).resources
    assert sorted(watcher.there.values(), key=lambda r: r.name) == list(listed)
    assert sorted(watcher.changes_by_name) == [("EXISTING", "vm"), ("EXISTING", "web")]
    assert watcher.resume_token


async def test_watch_large_resources_come_in_messages_below_the_default_limit(daemon, watch):
    """Clients take 4 MiB; the initial state of these is more than that."""
    names = [f"big{number}" for number in range(24)]
    for name in names:
        labels = {f"note{number}": "x" * 50_000 for number in range(4)}
        await daemon.container(name, start=False, labels=labels)

    watcher = await watch()
    assert sorted(resource.name for resource in watcher.there.values()) == sorted(names)

    for name in names:
        await daemon.call("DeleteResource", id=name)
    await watcher.until(lambda: not watcher.there)


async def test_watch_change_by_a_call_has_the_actor(daemon, watch):
    watcher = await watch()

    web = await daemon.container("web")
    await daemon.call("PauseResource", id="web")
    await daemon.call("DeleteResource", id="web", force=True)

    await watcher.until(lambda: ("REMOVED", "web") in watcher.changes_by_name)
    assert {(c.cause, c.actor) for c in watcher.changes} == {(v1.CHANGE_CAUSE_API, "ann")}
    first, *_, last = watcher.changes
    assert (first.type, first.previous_state) == (v1.CHANGE_TYPE_ADDED, 0)
    assert last.type == v1.CHANGE_TYPE_REMOVED
    assert last.previous_state == v1.RESOURCE_STATE_PAUSED
    assert {c.resource.id for c in watcher.changes} == {web.id}
    revisions = [c.resource.revision for c in watcher.changes]
    assert revisions == sorted(set(revisions))


async def test_watch_external_change_has_no_actor(daemon, watch):
    web = await daemon.container("web")
    watcher = await watch()

    await daemon.driver.stop(web.id, StopOptions())

    await watcher.until(lambda: watcher.state_of("web") == "STOPPED")
    change = watcher.changes[-1]
    assert (change.cause, change.actor) == (v1.CHANGE_CAUSE_EXTERNAL, "")
    assert change.previous_state == v1.RESOURCE_STATE_RUNNING


async def test_watch_create_and_prune_have_the_actor(daemon, watch):
    await daemon.container("idle", start=False)
    watcher = await watch()

    await daemon.call("PruneContainers")
    await daemon.call("CreateContainer", spec={"image": IMAGE, "name": "new"}, start=True)

    await watcher.until(lambda: watcher.state_of("new") == "RUNNING")
    changes = {(c.type, c.resource.name): c.actor for c in watcher.changes[1:]}
    assert changes[v1.CHANGE_TYPE_REMOVED, "idle"] == "ann"
    assert changes[v1.CHANGE_TYPE_ADDED, "new"] == "ann"


FILTERS = {
    "kind": ({"kinds": ["RESOURCE_KIND_DOMAIN"]}, {"vm", "vm2"}),
    "state": ({"states": ["RESOURCE_STATE_RUNNING"]}, {"web", "vm"}),
    "prefix": ({"name_prefix": "vm"}, {"vm", "vm2"}),
    "label": ({"labels": {"a": "1"}}, {"web", "vm2"}),
    "image": ({"image": IMAGE}, {"web", "idle"}),
    "host": ({"hosts": ["local"]}, {"web", "idle", "vm", "vm2"}),
}


@pytest.mark.parametrize("kind", FILTERS)
async def test_watch_filter_matches_as_in_a_list(daemon, watch, kind):
    filter, names = FILTERS[kind]
    before = await watch(filter=filter)
    await daemon.container("web", labels={"a": "1"})
    await daemon.container("idle", start=False)
    await daemon.domain("vm")
    await daemon.domain("vm2", start=False, labels={"a": "1"})

    after = await watch(filter=filter)

    assert {r.name for r in after.there.values()} == names
    await before.until(lambda: {r.name for r in before.there.values()} == names)
    assert await daemon.names(filter=filter) == sorted(names)


async def test_watch_filter_ids_returns_these_alone(daemon, watch):
    web = await daemon.container("web")
    await daemon.container("other")
    watcher = await watch(filter={"ids": [web.id]})

    await daemon.call("PauseResource", id="other")
    await daemon.call("PauseResource", id="web")

    await watcher.until(lambda: watcher.state_of("web") == "PAUSED")
    assert {c.resource.name for c in watcher.changes} == {"web"}


async def test_watch_filter_unknown_host_is_not_found(daemon):
    refused = await Watcher(daemon, filter={"hosts": ["nope"]}).end()

    assert (refused.code, refused.reason) == ("NOT_FOUND", "HOST_NOT_FOUND")


async def test_watch_resource_that_leaves_the_filter_is_removed(daemon, watch):
    await daemon.container("web")
    watcher = await watch(filter={"states": ["RESOURCE_STATE_RUNNING"]})

    await daemon.call("PauseResource", id="web")
    await watcher.until(lambda: not watcher.there)
    last = watcher.changes[-1]
    assert last.resource.state == v1.RESOURCE_STATE_PAUSED
    await daemon.call("ResumeResource", id="web")
    await watcher.until(lambda: watcher.there)

    assert [type for type, _ in watcher.changes_by_name if type != "MODIFIED"] == [
        "EXISTING",
        "REMOVED",
        "ADDED",
    ]


async def test_watch_read_mask_cuts_resources_and_keeps_changes(daemon, watch):
    await daemon.container("web")
    watcher = await watch(read_mask={"paths": ["name", "state"]})
    await daemon.call("PauseResource", id="web")
    await watcher.until(lambda: len(watcher.changes) >= 3)

    for change in watcher.changes:
        assert change.resource == v1.Resource(name="web", state=change.resource.state)
    last = watcher.changes[-1]
    assert (last.resource.state, last.previous_state) == (
        v1.RESOURCE_STATE_PAUSED,
        v1.RESOURCE_STATE_RUNNING,
    )
    assert last.actor == "ann"


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({"read_mask": {"paths": ["nope"]}}, "read_mask"),
        ({"heartbeat_interval": {"nanos": 1000}}, "heartbeat_interval"),
        ({"heartbeat_interval": {"seconds": 301}}, "heartbeat_interval"),
        ({"heartbeat_interval": {"seconds": -1}}, "heartbeat_interval"),
        ({"resume_token": "garbage"}, "resume_token"),
        ({"resume_token": "a.b.c"}, "resume_token"),
        ({"resume_token": "a.-1.c"}, "resume_token"),
        ({"resume_token": "a.1"}, "resume_token"),
        ({"resume_token": "a.\u0661.c"}, "resume_token"),
        ({"resume_token": "." * 5000}, "resume_token"),
    ],
    ids=str,
)
async def test_watch_bad_request_is_refused(daemon, request_, field):
    refused = await Watcher(daemon, **request_).end()

    assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "INVALID_ARGUMENT")
    assert refused.fields[0].startswith(field)


async def test_watch_without_changes_gets_heartbeats(daemon, watch):
    await daemon.container("web")
    watcher = await watch(heartbeat_interval={"seconds": 1})

    await watcher.until(lambda: watcher.heartbeats == 2, 20)  # the default is every 15 seconds

    assert len(watcher.changes) == 1


async def test_watch_graceful_stop_reports_the_activity(daemon, watch):
    await daemon.domain("vm", labels=DEAF)
    watcher = await watch()
    stop = asyncio.ensure_future(daemon.call("StopResource", id="vm", grace_period={"seconds": 60}))

    def shown():
        (vm,) = watcher.there.values()
        return vm

    await watcher.until(lambda: shown().activity.step)
    assert shown().activity.verb == v1.VERB_STOP
    assert shown().activity.actor == "ann"
    assert list(shown().allowed_verbs) == [v1.VERB_STOP]
    await daemon.call("StopResource", id="vm", mode="STOP_MODE_FORCE")
    await stop
    await watcher.until(lambda: not shown().HasField("activity"))
    assert watcher.state_of("vm") == "STOPPED"
    assert v1.VERB_START in shown().allowed_verbs


class SlowSnapshots(MemoryDriver):
    """Deletes a snapshot only when `go` is set."""

    def __init__(self):
        super().__init__()
        self.go = asyncio.Event()

    async def delete_snapshot(self, id, name, *, children=False):
        await self.go.wait()
        await super().delete_snapshot(id, name, children=children)


async def test_watch_deletion_of_a_snapshot_reports_the_activity(serve):
    driver = SlowSnapshots()
    daemon = await serve(("local", driver))
    await daemon.domain("vm")
    await daemon.call("CreateSnapshot", id="vm", name="s1")
    watcher = await Watcher(daemon).begin()
    deletion = asyncio.ensure_future(daemon.call("DeleteSnapshot", id="vm", name="s1"))

    def shown():
        (vm,) = watcher.there.values()
        return vm

    await watcher.until(lambda: shown().HasField("activity"))
    assert shown().activity.verb == v1.VERB_DELETE_SNAPSHOT
    assert shown().activity.actor == "ann"
    pause = asyncio.ensure_future(daemon.call("PauseResource", id="vm"))
    driver.go.set()
    await deletion
    await pause
    await watcher.until(lambda: watcher.state_of("vm") == "PAUSED")
    deleting = [
        each.resource.state
        for each in watcher.changes
        if each.resource.activity.verb == v1.VERB_DELETE_SNAPSHOT
    ]
    assert set(deleting) == {v1.RESOURCE_STATE_RUNNING}
    watcher.call.cancel()


@pytest.mark.parametrize("missed", [0, 1, 50])
async def test_watch_resumed_misses_nothing_and_repeats_nothing(daemon, watch, missed):
    await daemon.container("flip")
    first = await watch()
    whole = await watch()
    first.call.cancel()
    for number in range(missed):
        await daemon.call("PauseResource" if number % 2 == 0 else "ResumeResource", id="flip")

    second = Watcher(daemon, resume_token=first.resume_token)
    await daemon.container("last")

    await second.until(lambda: ("ADDED", "last") in second.changes_by_name)
    await whole.until(lambda: len(whole.changes) > len(second.changes))
    assert not second.synced
    changes = [(c.type, c.resource.name, c.resource.revision) for c in second.changes]
    assert (
        changes
        == [(c.type, c.resource.name, c.resource.revision) for c in whole.changes[1:]][
            : len(changes)
        ]
    )
    assert len(changes) > missed
    second.call.cancel()


async def test_watch_resume_token_of_another_filter_is_refused(daemon, watch):
    watcher = await watch(filter={"name_prefix": "a"})

    refused = await Watcher(
        daemon, filter={"name_prefix": "b"}, resume_token=watcher.resume_token
    ).end()

    assert (refused.code, refused.fields) == ("INVALID_ARGUMENT", ["resume_token"])


async def test_watch_resumed_with_another_mask_continues(daemon, watch):
    watcher = await watch()
    await daemon.container("web")

    again = Watcher(daemon, resume_token=watcher.resume_token, read_mask={"paths": ["name"]})

    await again.until(lambda: again.changes)
    assert again.changes[0].resource == v1.Resource(name="web")
    again.call.cancel()


async def test_watch_resume_token_of_another_run_is_compacted(settings):
    driver = MemoryDriver()
    async with running(settings(), [("local", driver)]) as daemon:
        await daemon.container("web")
        token = (await Watcher(daemon).begin()).resume_token

    async with running(settings(), [("local", driver)]) as daemon:
        refused = await Watcher(daemon, resume_token=token).end()
        assert (refused.code, refused.reason) == ("OUT_OF_RANGE", "REVISION_COMPACTED")
        watcher = await Watcher(daemon).begin()
        assert watcher.changes_by_name == [("EXISTING", "web")]
        watcher.call.cancel()


async def test_watch_resume_token_that_is_too_old_is_compacted(serve):
    daemon = await serve(parts={"history_size": 20})
    await daemon.container("web")
    watcher = await Watcher(daemon).begin()
    watcher.call.cancel()
    for number in range(20):
        await daemon.call("PauseResource" if number % 2 == 0 else "ResumeResource", id="web")

    refused = await Watcher(daemon, resume_token=watcher.resume_token).end()

    assert (refused.code, refused.reason) == ("OUT_OF_RANGE", "REVISION_COMPACTED")


async def test_watch_engine_lost_is_a_gap(daemon, watch):
    web = await daemon.container("web")
    watcher = await watch()

    daemon.driver.lose()
    await watcher.until(lambda: watcher.gaps == ["ENGINE_LOST"])
    late = await watch()
    assert late.gaps == ["ENGINE_LOST"]
    daemon.driver.come_back()
    await daemon.driver.stop(web.id)

    for each in (watcher, late):
        await each.until(lambda each=each: each.gaps == ["ENGINE_LOST", "ENGINE_RESYNCED"])
        # The list after the loss may be of a moment before the stop.
        await each.until(lambda each=each: each.state_of("web") == "STOPPED")


async def test_watch_outlasts_every_usual_timeout(daemon, watch):
    watcher = await watch(heartbeat_interval=timedelta(seconds=1))
    await watcher.until(lambda: watcher.heartbeats >= 3, 20)
    await daemon.container("web")
    await watcher.until(lambda: ("ADDED", "web") in watcher.changes_by_name)
