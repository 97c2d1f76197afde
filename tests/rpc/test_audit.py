"""The audit log of a daemon: what calls write, and what ListEntries tells of them."""

import asyncio
import errno
import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import grpc
import pytest

from eventually import eventually
from proa import v1
from proad.audit import AuditTiming
from proad.model import Access
from proad.model.scope import Scope
from proad.timing import DaemonTiming
from rpc.conftest import PASSWORD
from rpc.daemon import BOTH, IMAGE, RPCS, refusal

SECRET = "hunter2-canary"


class Disk:
    """Counts the syncs of a log's files, and fails them when told so."""

    def __init__(self):
        self.syncs = 0
        self.fails = False

    def __call__(self, descriptor):
        self.syncs += 1
        if self.fails:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        os.fdatasync(descriptor)


def lines(daemon, *kinds):
    """Return the lines of the log, or those of some kinds."""
    found = [
        json.loads(line)
        for path in sorted((daemon.settings.state_dir / "audit").glob("audit-*.jsonl"))
        for line in path.read_text().splitlines()
    ]
    return [line for line in found if not kinds or line["kind"] in kinds]


async def calls(daemon, count):
    """Return the intents and the outcomes once there are so many of each."""

    def complete():
        return len(lines(daemon, "outcome")) >= count

    await eventually(complete)
    return lines(daemon, "intent"), lines(daemon, "outcome")


async def entries(daemon, **request):
    """Return what a user with the scope `audit`, and access to all, is told."""
    rpc = RPCS["ListEntries"]
    if "eve" not in daemon.versions:
        user = await daemon.users.add("eve", "x" * 60, [Scope.AUDIT])
        daemon.versions["eve"] = user.token_version
    token = daemon.token(Scope.AUDIT, username="eve")
    return await daemon.send(rpc, rpc.request(**request), token=token)


async def test_verb_writes_intent_and_outcome_joined_by_number(daemon):
    made = await daemon.container("web")
    await daemon.call("PauseResource", id="web", metadata=[("x-correlation-id", "my-call")])

    intents, outcomes = await calls(daemon, 2)
    intent, outcome = intents[-1], outcomes[-1]
    ann = await daemon.users.get("ann")
    assert {
        k: v for k, v in intent.items() if k not in {"sequence", "time", "token_id", "mac"}
    } == {
        "kind": "intent",
        "username": "ann",
        "user_id": ann.id,
        "peer": intent["peer"],
        "method_name": "/proa.v1.ResourceService/PauseResource",
        "target": "web",
        "correlation_id": "my-call",
    }
    assert intent["peer"].startswith("ipv4:127.0.0.1:")
    assert intent["token_id"]
    assert (outcome["intent"], outcome["outcome"], outcome["code"], outcome["path"]) == (
        intent["sequence"],
        "SUCCEEDED",
        "OK",
        made.path,
    )


async def test_create_outcome_has_path_of_what_was_made(daemon):
    made = await daemon.container("web", start=False)

    (intent,), (outcome,) = await calls(daemon, 1)
    assert (intent["target"], intent.get("path"), outcome["path"]) == ("web", None, made.path)


async def test_read_writes_nothing(daemon):
    await daemon.container("web")
    await calls(daemon, 1)
    before = len(lines(daemon))
    await daemon.call("GetResource", id="web")
    await daemon.call("ListResources")
    await entries(daemon)

    assert len(lines(daemon)) == before


async def test_validate_only_writes_nothing(daemon):
    await daemon.container("web")
    await calls(daemon, 1)
    await daemon.call("PauseResource", id="web", validate_only=True)
    await daemon.call("PauseResource", id="web")

    intents, _ = await calls(daemon, 2)
    assert [each["method_name"].rpartition("/")[2] for each in intents] == [
        "CreateContainer",
        "PauseResource",
    ]


async def test_failure_outcome_has_code_and_reason(daemon):
    await refusal(daemon.call("StopResource", id="nobody"))

    _, (outcome,) = await calls(daemon, 1)
    assert (outcome["outcome"], outcome["code"], outcome["reason"]) == (
        "FAILED",
        "NOT_FOUND",
        "RESOURCE_NOT_FOUND",
    )


async def test_policy_denial_outcome_has_rule(daemon):
    refused = await refusal(daemon.call("PullImage", image="localhost:5000/x").read())

    _, (outcome,) = await calls(daemon, 1)
    assert (outcome["outcome"], outcome["reason"]) == ("DENIED", "POLICY_DENIED")
    assert outcome["rule"] == refused.metadata["rule"]


async def test_scope_missing_writes_denied_line_of_any_method(daemon):
    for name in ("StopResource", "ListEntries"):
        rpc = RPCS[name]
        await refusal(daemon.send(rpc, rpc.request(), token=daemon.token(Scope.BASIC)))

    await eventually(lambda: len(lines(daemon, "denied")) == 2)
    denied = lines(daemon, "denied")[0]
    assert (denied["username"], denied["outcome"], denied["reason"]) == (
        "ann",
        "DENIED",
        "SCOPE_MISSING",
    )
    assert not lines(daemon, "intent")
    shown = (await entries(daemon, filter={"outcomes": [v1.AUDIT_OUTCOME_DENIED]})).entries
    assert [each.method_name.rpartition("/")[2] for each in shown] == [
        "ListEntries",
        "StopResource",
    ]


async def test_stranger_is_counted_once_a_period(serve):
    timing = replace(DaemonTiming(), audit=AuditTiming(refusal_period=0.2))
    daemon = await serve(timing=timing)
    rpc = RPCS["StopResource"]
    for _ in range(20):
        await refusal(daemon.send(rpc, rpc.request(id="web")))
    await refusal(daemon.call("CreateToken", username="ann", password=SECRET))

    await eventually(
        lambda: sum(sum(each["counts"].values()) for each in lines(daemon, "refused")) == 21
    )
    counted = lines(daemon, "refused")
    assert len(counted) <= 5
    assert {reason for each in counted for reason in each["counts"]} == {
        "TOKEN_MISSING",
        "BAD_CREDENTIALS",
    }
    assert not lines(daemon, "intent", "denied")


async def test_login_and_logout_are_written_with_the_token_id(daemon):
    answer = await daemon.send(
        RPCS["CreateToken"], v1.CreateTokenRequest(username="Ann", password=PASSWORD)
    )
    await daemon.send(RPCS["RevokeToken"], b"", token=answer.token)

    (login, logout), outcomes = await calls(daemon, 2)
    assert (login["username"], login["token_id"]) == ("ann", logout["token_id"])
    assert [each["outcome"] for each in outcomes] == ["SUCCEEDED", "SUCCEEDED"]
    assert answer.token not in json.dumps(lines(daemon))


async def test_pull_writes_both_lines_once(daemon, new_id):
    pull = daemon.call("PullImage", image="debian:12", request_id=new_id)
    while await pull.read() is not grpc.aio.EOF:
        pass
    again = daemon.call("PullImage", image="debian:12", request_id=new_id)
    while await again.read() is not grpc.aio.EOF:
        pass

    (intent,), (outcome,) = await calls(daemon, 1)
    assert (intent["target"], intent["request_id"]) == ("debian:12", new_id)
    assert outcome["outcome"] == "SUCCEEDED"


async def test_repetition_of_a_request_writes_nothing_more(daemon, new_id):
    for _ in range(3):
        await daemon.call("CreateContainer", spec={"image": IMAGE}, request_id=new_id)

    intents, outcomes = await calls(daemon, 1)
    assert (len(intents), len(outcomes)) == (1, 1)


async def test_secrets_of_requests_are_in_no_line(daemon):
    await daemon.container(
        "web", env={"TOKEN": SECRET}, command=["sh", SECRET], labels={"a": SECRET}
    )
    request = {"registry": "reg:5000", "username": "u", "password": SECRET}
    await daemon.call("LoginRegistry", **request)
    await refusal(daemon.call("CreateDomainFromXml", xml=f"<domain><name>{SECRET}</name>"))

    await calls(daemon, 3)
    assert SECRET not in json.dumps(lines(daemon))


@pytest.mark.parametrize("with_id", [False, True])
async def test_caller_goes_away_outcome_is_what_became_of_the_call(serve, held, new_id, with_id):
    daemon = await serve(("local", held))
    await daemon.container("web")
    request = {"id": "web", "request_id": new_id} if with_id else {"id": "web"}
    pause = daemon.call("PauseResource", **request)
    await held.entered.wait()
    pause.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pause
    held.let_go.set()

    intents, outcomes = await calls(daemon, 2)
    assert (outcomes[-1]["intent"], outcomes[-1]["code"]) == (intents[-1]["sequence"], "OK")


@pytest.mark.parametrize(
    ("filter", "names"),
    [
        ({}, ["StopResource", "PauseResource", "CreateContainer", "CreateContainer"]),
        ({"resource": "web"}, ["StopResource", "PauseResource", "CreateContainer"]),
        ({"method_name": "PauseResource"}, ["PauseResource"]),
        ({"method_name": "/proa.v1.ResourceService/PauseResource"}, ["PauseResource"]),
        ({"username": "ann", "resource": "db"}, ["CreateContainer"]),
        ({"username": "bob"}, []),
        ({"outcomes": [v1.AUDIT_OUTCOME_FAILED]}, ["StopResource"]),
        ({"end_time": datetime(2020, 1, 1, tzinfo=UTC)}, []),
        ({"start_time": datetime(2020, 1, 1, tzinfo=UTC), "resource": "db"}, ["CreateContainer"]),
    ],
)
async def test_list_entries_filters(daemon, filter, names):
    await daemon.container("web")
    await daemon.container("db")
    await daemon.call("PauseResource", id="web")
    await refusal(daemon.call("StopResource", id="web", mode=99))
    await calls(daemon, 4)

    shown = (await entries(daemon, filter=filter)).entries
    assert [each.method_name.rpartition("/")[2] for each in shown] == names


async def test_list_entries_by_path_finds_what_names_named(daemon):
    made = await daemon.container("web")
    await daemon.call("PauseResource", id="web")
    await daemon.call("ResumeResource", id=made.id[:12])
    await calls(daemon, 3)

    shown = (await entries(daemon, filter={"resource": made.path})).entries
    assert [each.target for each in shown] == [made.id[:12], "web", "web"]
    assert {each.path for each in shown} == {made.path}


async def test_list_entries_pages_are_whole_and_in_order(daemon):
    for number in range(7):
        await daemon.container(f"c{number}", start=False)
    await calls(daemon, 7)
    found, token = [], ""
    while True:
        page = await entries(daemon, page_size=3, page_token=token)
        found += [each.target for each in page.entries]
        token = page.next_page_token
        if not token:
            break

    assert found == [f"c{number}" for number in reversed(range(7))]


async def test_list_entries_obeys_access(daemon):
    await daemon.container("web", start=False)
    await calls(daemon, 1)
    await entries(daemon)
    ann, team = await daemon.users.get("ann"), str(uuid4())
    seen = {}
    for access in (Access.OWN, Access.TEAM, Access.ALL):
        user = await daemon.users.set_access("eve", access, team)
        daemon.versions["eve"] = user.token_version
        seen[access] = [each.user_id for each in (await entries(daemon)).entries]

    assert seen == {Access.OWN: [], Access.TEAM: [], Access.ALL: [ann.id]}


async def test_list_entries_of_a_team_has_calls_of_its_users(daemon):
    await daemon.container("before", start=False)
    team = str(uuid4())
    await entries(daemon)
    for name in ("ann", "eve"):
        user = await daemon.users.set_access(name, Access.TEAM, team)
        daemon.versions[name] = user.token_version
    await refusal(daemon.call("StopResource", id="nobody"))
    await calls(daemon, 2)

    shown = (await entries(daemon)).entries
    assert [(each.target, each.team_id) for each in shown] == [("nobody", team)]


async def test_disk_fails_refuses_changes_and_reads_go_on(serve):
    disk = Disk()
    daemon = await serve(parts={"sync": disk})
    await daemon.container("web")
    disk.fails = True
    refused = await refusal(daemon.call("PauseResource", id="web"))
    assert (refused.code, refused.reason) == ("UNAVAILABLE", "AUDIT_UNAVAILABLE")
    assert await daemon.state("web") == "RUNNING"
    disk.fails = False

    await daemon.call("PauseResource", id="web")
    intents, outcomes = await calls(daemon, 2)
    assert [each["method_name"].rpartition("/")[2] for each in intents] == [
        "CreateContainer",
        "PauseResource",
    ]
    assert len(outcomes) == 2


async def test_calls_at_once_share_syncs(serve):
    disk = Disk()
    daemon = await serve(parts={"sync": disk})
    await daemon.container("web", start=False)
    before = disk.syncs
    rpc, token = RPCS["PauseResource"], daemon.token(*BOTH)
    await asyncio.gather(
        *(refusal(daemon.send(rpc, rpc.request(id="web"), token=token)) for _ in range(300))
    )

    await calls(daemon, 301)
    assert disk.syncs - before < 300


@pytest.mark.parametrize("known", [True, False], ids=["with an id", "without one"])
async def test_prune_writes_lines_of_each_container_that_it_removes(daemon, new_id, known):
    """Who asks what became of a container hears of the prune that removed it."""
    made = [
        await daemon.container(name, start=False, labels={"old": "yes"}) for name in ("aa", "bb")
    ]
    kept = await daemon.container("kept", start=False)
    await daemon.call(
        "PruneContainers", labels={"old": "yes"}, **({"request_id": new_id} if known else {})
    )

    for each in made:
        for resource in (each.path, each.id):
            told = (await entries(daemon, filter={"resource": resource})).entries
            prune = told[0]
            assert prune.method_name.endswith("/PruneContainers")
            assert (prune.username, prune.target, prune.path) == ("ann", each.id, each.path)
            assert prune.outcome == v1.AUDIT_OUTCOME_SUCCEEDED
    assert not (await entries(daemon, filter={"resource": kept.id})).entries
    listed = (await entries(daemon, filter={"method_name": "PruneContainers"})).entries
    assert len(listed) == 3
    assert {each.outcome for each in listed} == {v1.AUDIT_OUTCOME_SUCCEEDED}


async def test_prune_that_is_only_checked_writes_nothing(daemon):
    await daemon.container("aa", start=False)
    checked = await daemon.call("PruneContainers", validate_only=True)
    assert not checked.container_ids
    assert not (await entries(daemon, filter={"method_name": "PruneContainers"})).entries
    assert "aa" in await daemon.names()
