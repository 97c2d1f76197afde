"""Requests with an id over a real channel: one effect, and the same answer for repetitions."""

import asyncio
import sqlite3
from contextlib import closing
from uuid import uuid4

import pytest

from eventually import eventually
from proad.drivers.memory import MemoryDriver
from proad.model.scope import Scope
from rpc.daemon import BOTH, IMAGE, RPCS, changing, refusal, running
from rpc.held import known, shown

DEAF = {"proa.memory/ignores-stop": "true"}


def rows(settings):
    """Return the requests in the database of a daemon."""
    with closing(sqlite3.connect(settings.state_dir / "proa.db")) as connection:
        return connection.execute("SELECT id, state, answer FROM requests").fetchall()


async def test_call_repeated_returns_the_same_answer_and_changes_nothing(daemon, new_id):
    await daemon.container("web")
    first = await daemon.call("PauseResource", id="web", request_id=new_id)
    await daemon.call("ResumeResource", id="web")

    again = await daemon.call("PauseResource", id="web", request_id=new_id.upper())

    assert again == first
    assert await daemon.state("web") == "RUNNING"


async def test_call_connection_lost_is_rejoined(serve, held, new_id):
    daemon = await serve(("local", held))
    await daemon.container("web")
    lost = daemon.call("PauseResource", id="web", request_id=new_id)
    await held.entered.wait()
    lost.cancel()
    again = daemon.call("PauseResource", id="web", request_id=new_id)
    held.let_go.set()

    assert (await again).resource.name == "web"
    assert held.pauses == 1
    assert await daemon.state("web") == "PAUSED"


async def test_call_repeated_at_once_has_one_effect(daemon, new_id):
    spec = {"image": IMAGE}
    calls = [daemon.call("CreateContainer", spec=spec, request_id=new_id) for _ in range(50)]
    made = {answer.resource.id for answer in await asyncio.gather(*calls)}

    assert len(made) == 1
    assert len(await daemon.names()) == 1


@pytest.mark.parametrize(
    ("name", "other"),
    [("PauseResource", {"id": "db"}), ("ResumeResource", {"id": "web"})],
    ids=["fields", "method"],
)
async def test_call_id_of_another_call_is_refused(daemon, new_id, name, other):
    await daemon.container("web")
    await daemon.container("db")
    await daemon.call("PauseResource", id="web", request_id=new_id)

    refused = await refusal(daemon.call(name, request_id=new_id, **other))

    assert (refused.reason, refused.fields) == ("INVALID_ARGUMENT", ["request_id"])
    assert await daemon.state("db") == "RUNNING"
    assert await daemon.state("web") == "PAUSED"


async def test_call_id_that_is_no_uuid_is_refused(daemon):
    await daemon.container("web")
    for id in ("7", "00000000-0000-0000-0000-000000000000", f"{{{uuid4()}}}", uuid4().hex):
        refused = await refusal(daemon.call("PauseResource", id="web", request_id=id))
        assert (refused.reason, refused.fields) == ("INVALID_ARGUMENT", ["request_id"])
    assert await daemon.state("web") == "RUNNING"


async def test_call_same_id_of_another_user_is_another_call(daemon, new_id):
    rpc = RPCS["CreateContainer"]
    request = rpc.request(spec={"image": IMAGE}, request_id=new_id)
    for user in ("ann", "eve"):
        await daemon.send(rpc, request, token=daemon.token(*BOTH, username=user))

    assert len(await daemon.names()) == 2


async def test_call_repeated_after_a_restart_returns_the_same_answer(settings, new_id):
    driver, answers = MemoryDriver(), []
    for _ in range(2):
        async with running(settings(), [("local", driver)]) as daemon:
            call = daemon.call("CreateContainer", spec={"image": IMAGE}, request_id=new_id)
            answers.append((await call).resource)
            assert len(await daemon.names()) == 1

    assert answers[0].id == answers[1].id


async def test_call_failed_fails_again_in_the_same_way(daemon, new_id):
    await daemon.container("web", labels=DEAF)
    stop = {"id": "web", "mode": "STOP_MODE_GRACEFUL", "grace_period": {"seconds": 0}}
    first = await refusal(daemon.call("StopResource", request_id=new_id, **stop))
    await daemon.call("StopResource", id="web", mode="STOP_MODE_FORCE")
    again = await refusal(daemon.call("StopResource", request_id=new_id, **stop))

    for refused in (first, again):
        assert (refused.code, refused.reason) == ("DEADLINE_EXCEEDED", "STOP_TIMED_OUT")
    assert (again.message, again.metadata) == (first.message, first.metadata)


async def test_call_refused_before_its_effect_frees_the_id(daemon, settings, new_id):
    await daemon.container("web", start=False)
    refused = await refusal(daemon.call("PauseResource", id="web", request_id=new_id))
    assert refused.reason == "RESOURCE_NOT_RUNNING"
    assert rows(settings()) == []
    await daemon.call("StartResource", id="web")

    await daemon.call("PauseResource", id="web", request_id=new_id)
    assert await daemon.state("web") == "PAUSED"


async def test_call_delete_of_what_was_missing_deletes_nothing_later(daemon, new_id):
    request = {"id": "web", "allow_missing": True, "request_id": new_id}
    await daemon.call("DeleteResource", **request)
    await daemon.container("web", start=False)

    await daemon.call("DeleteResource", **request)

    assert await daemon.names() == ["web"]


async def test_call_deadline_expires_goes_on(serve, held, new_id):
    daemon = await serve(("local", held))
    await daemon.container("web")
    request = {"id": "web", "request_id": new_id}
    refused = await refusal(daemon.call("PauseResource", timeout=0.5, **request))
    assert refused.code == "DEADLINE_EXCEEDED"
    held.let_go.set()

    await daemon.call("PauseResource", **request)
    assert held.pauses == 1
    assert await daemon.state("web") == "PAUSED"


async def test_call_without_an_id_is_not_recorded(daemon, settings):
    await daemon.container("web")
    await daemon.call("PauseResource", id="web")

    assert rows(settings()) == []


async def test_call_database_locked_changes_nothing(daemon, settings, new_id):
    await daemon.container("web")
    with closing(sqlite3.connect(settings().state_dir / "proa.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        refused = await refusal(daemon.call("PauseResource", id="web", request_id=new_id))
    assert (refused.code, refused.reason) == ("UNAVAILABLE", "DATABASE_UNREACHABLE")
    assert await daemon.state("web") == "RUNNING"

    await daemon.call("PauseResource", id="web", request_id=new_id)
    assert await daemon.state("web") == "PAUSED"


async def test_stored_answer_is_the_summary_without_secrets(daemon, settings, new_id):
    """The first answer of a create is the FULL view, with the environment."""
    spec = {
        "image": IMAGE,
        "name": "web",
        "env": {"PASSWORD": "the secret"},
        "ports": [{"container_port": 80}],
    }
    request = {"spec": spec, "start": True, "request_id": new_id}
    first = await daemon.call("CreateContainer", **request)
    again = await daemon.call("CreateContainer", **request)
    summary = await daemon.call("GetResource", id="web", view="RESOURCE_VIEW_SUMMARY")

    assert first.resource.container.env["PASSWORD"] == "the secret"
    assert again.resource.container == summary.resource.container
    assert again.resource.name == "web"
    assert all(b"the secret" not in answer for _, _, answer in rows(settings()))


async def test_stored_answer_of_a_domain_is_the_summary(daemon, new_id):
    request = {"spec": {"name": "vm", "memory_bytes": 2**26, "title": "A"}, "request_id": new_id}
    first = await daemon.call("CreateDomain", **request)
    again = await daemon.call("CreateDomain", **request)
    summary = await daemon.call("GetResource", id="vm", view="RESOURCE_VIEW_SUMMARY")

    assert first.resource.domain.disks
    assert again.resource.domain == summary.resource.domain


async def test_pull_caller_gone_is_rejoined(serve, new_id):
    class Slow(MemoryDriver):
        pulls = 0

        def __init__(self):
            super().__init__()
            self.let_go = asyncio.Event()

        async def pull_image(self, name, **options):
            self.pulls += 1
            async for event in super().pull_image(name, **options):
                yield event
                await self.let_go.wait()

    daemon = await serve(("local", Slow()))
    call = daemon.call("PullImage", image="debian:12", request_id=new_id)
    first = await call.read()
    call.cancel()
    again = aiter(daemon.call("PullImage", image="debian:12", request_id=new_id))
    assert await anext(again) == first
    daemon.driver.let_go.set()
    *_, last = [event async for event in again]
    assert list(last.image.tags) == ["debian:12"]

    later = daemon.call("PullImage", image="debian:12", request_id=new_id)
    last.image.ClearField("env")  # secrets are not stored
    assert [event async for event in later] == [last]
    assert daemon.driver.pulls == 1


async def test_call_queued_caller_gone_goes_on(serve, held, new_id):
    """Without an id, a call that waits for another one ends with its caller."""
    daemon = await serve(("local", held))
    await daemon.container("web")
    first = daemon.call("PauseResource", id="web")
    await held.entered.wait()
    queued = daemon.call("ResumeResource", id="web", request_id=new_id)
    await eventually(lambda: known(daemon, new_id))
    queued.cancel()
    held.let_go.set()
    await first

    await daemon.call("ResumeResource", id="web", request_id=new_id)
    assert await daemon.state("web") == "RUNNING"
    assert (await shown(daemon, new_id)).HasField("end_time")


async def test_call_daemon_stops_meanwhile_is_interrupted(settings, held, new_id):
    """A verb whose state is not what it asked for, when the daemon is there again."""
    short = settings(drain_timeout="0s")
    async with running(short, [("local", held)]) as daemon:
        await daemon.container("web")
        call = daemon.call("PauseResource", id="web", request_id=new_id)
        await held.entered.wait()
        call.cancel()

    async with running(short, [("local", held)]) as daemon:
        held.let_go.set()
        for _ in range(2):
            refused = await refusal(daemon.call("PauseResource", id="web", request_id=new_id))
            assert (refused.code, refused.reason) == ("ABORTED", "INTERRUPTED")
            assert refused.metadata["effect"] in {"none", "unknown"}
        assert held.pauses == 1
        assert await daemon.state("web") == "RUNNING"


async def test_call_too_many_of_a_user_are_refused(serve, new_id):
    daemon = await serve(parts={"most_requests": 2})
    await daemon.container("web")
    for verb in ("PauseResource", "ResumeResource"):
        await daemon.call(verb, id="web", request_id=str(uuid4()))

    refused = await refusal(daemon.call("PauseResource", id="web", request_id=new_id))

    assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "TOO_MANY_REQUESTS")
    assert refused.retry_after > 80_000
    await daemon.call("PauseResource", id="web")


async def test_call_joined_without_the_scope_to_read_gets_the_summary(serve, new_id):
    """The one who joins may hold a token with fewer scopes than the first caller's."""

    class Slow(MemoryDriver):
        def __init__(self):
            super().__init__()
            self.let_go, self.entered = asyncio.Event(), asyncio.Event()

        async def update(self, id, update):
            self.entered.set()
            await self.let_go.wait()
            return await super().update(id, update)

    daemon = await serve(("local", Slow()))
    await daemon.container("web", env={"PASSWORD": "the secret"})
    rpc = RPCS["UpdateResource"]
    request = rpc.request(id="web", request_id=new_id, **changing("container", name="new"))
    first = daemon.send(rpc, request, token=daemon.token(*BOTH))
    await daemon.driver.entered.wait()
    join = daemon.send(rpc, request, token=daemon.token(Scope.ADVANCED))
    await shown(daemon, new_id)  # was sent later
    daemon.driver.let_go.set()

    assert (await first).resource.container.env["PASSWORD"] == "the secret"
    joined = (await join).resource
    assert (joined.name, dict(joined.container.env)) == ("new", {})
    assert not joined.container.HasField("spec")
