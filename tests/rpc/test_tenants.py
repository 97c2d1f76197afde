"""What users without access to all see and change: what is theirs, or their team's."""

import asyncio
from uuid import uuid4

import pytest

from proad.model import Access
from proad.store.teams import TeamStore
from rpc.daemon import IMAGE, RPCS, refusal
from rpc.tenants import on_disk, outside, tenant
from rpc.watcher import Watcher


@pytest.fixture
async def alice(daemon):
    return await tenant(daemon, "alice")


@pytest.fixture
async def bella(daemon):
    return await tenant(daemon, "bella")


@pytest.fixture
def teams(daemon):
    return TeamStore(daemon.users._database)


async def test_own_sees_own_resources_alone_in_every_order_and_page(daemon, alice, bella):
    for name in ("a1", "a2", "a3"):
        await alice.container(name)
        await bella.container(name.replace("a", "b"))
    await alice.domain("a4")
    await outside(daemon)

    assert await alice.names() == ["a1", "a2", "a3", "a4"]
    assert await alice.names(order_by="name desc") == ["a4", "a3", "a2", "a1"]
    assert await alice.names(order_by="kind, name desc") == ["a3", "a2", "a1", "a4"]
    assert await alice.names(filter={"name_prefix": "b"}) == []
    assert await alice.names(filter={"owners": ["bella"]}) == []
    assert await alice.names(filter={"owners": ["ALICE"]}) == ["a1", "a2", "a3", "a4"]
    found: list[str] = []
    token = ""
    while not found or token:
        page = await alice.call("ListResources", page_size=2, page_token=token)
        found += [resource.name for resource in page.resources]
        token = page.next_page_token
    assert found == ["a1", "a2", "a3", "a4"]
    assert len(await daemon.names()) == 8


@pytest.mark.parametrize("write", ["id", "path", "name", "prefix", "typed name"])
async def test_get_of_what_is_somebody_elses_fails_as_of_what_is_not_there(alice, bella, write):
    box = await bella.container("hers")
    ref = {
        "id": box.id,
        "path": box.path,
        "name": "hers",
        "prefix": box.id[:8],
        "typed name": "container/hers",
    }[write]

    refused = await alice.refused("GetResource", id=ref)
    missing = await alice.refused("GetResource", id=ref[:-1] + ("0" if ref[-1] != "0" else "1"))

    assert (refused.code, refused.reason) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    assert refused.message.replace(ref, "") == missing.message.replace(
        missing.metadata["resource"], ""
    )
    assert refused.metadata == {"resource": ref}


async def test_number_of_a_running_domain_means_nothing_to_own(alice, bella):
    await bella.domain("hers", start=True)
    await alice.domain("mine", start=True)
    for number in ("1", "2", "3"):
        assert (await alice.refused("GetResource", id=number)).reason == "RESOURCE_NOT_FOUND"


async def test_ambiguous_name_tells_own_candidates_alone(alice, bella):
    mine = [await alice.container("web"), await alice.domain("web")]
    refused = await alice.refused("GetResource", id="web")
    assert refused.reason == "AMBIGUOUS_ID"
    assert set(refused.metadata["candidates"].split(",")) == {each.path for each in mine}
    assert (await bella.refused("GetResource", id="web")).reason == "RESOURCE_NOT_FOUND"


async def test_name_of_another_tenants_kind_is_not_ambiguous(alice, bella):
    await bella.domain("web")
    mine = await alice.container("web")
    assert (await alice.call("GetResource", id="web")).resource.id == mine.id


@pytest.mark.parametrize("access", [Access.OWN, Access.TEAM])
async def test_taken_name_is_told_without_what_has_it(daemon, alice, access):
    await alice.container("taken")
    await alice.domain("vm")
    other = await tenant(daemon, "other", access)
    box = await other.refused("CreateContainer", spec={"image": IMAGE, "name": "taken"})
    vm = await other.refused("CreateDomain", spec={"name": "vm", "memory_bytes": 2**26})
    for refused, name, kind in ((box, "taken", "container"), (vm, "vm", "domain")):
        assert (refused.reason, refused.metadata) == ("ALREADY_EXISTS", {kind: name})
    everyone = await refusal(daemon.call("CreateContainer", spec={"image": IMAGE, "name": "taken"}))
    assert everyone.metadata["existing_id"]


async def test_team_owns_what_its_members_make_and_all_members_see_it(daemon, teams):
    red, blue = await teams.add("red"), await teams.add("blue")
    tim, tom = [await tenant(daemon, name, Access.TEAM, red) for name in ("tim", "tom")]
    tess = await tenant(daemon, "tess", Access.TEAM, blue)
    own = await tenant(daemon, "own-of-red", Access.OWN, red)
    box = await tim.container("box")
    assert box.owner == "red"
    await own.container("private")

    assert await tom.names() == ["box"]
    await tom.call("PauseResource", id="box")
    assert await tess.names() == []
    assert await own.names() == ["private"]
    assert (await tess.refused("StopResource", id="box")).reason == "RESOURCE_NOT_FOUND"
    assert await daemon.names(filter={"owners": ["RED"]}) == ["box"]


async def test_team_keeps_what_a_member_made_who_moves_to_another(daemon, teams):
    red, blue = await teams.add("red"), await teams.add("blue")
    tim, tom = [await tenant(daemon, name, Access.TEAM, red) for name in ("tim", "tom")]
    await tim.container("box")
    moved = await daemon.users.set_access("tim", Access.TEAM, blue.id)
    daemon.versions["tim"] = moved.token_version

    assert await tim.names() == []
    assert await tom.names() == ["box"]


async def test_team_that_is_removed_leaves_what_it_owned_to_nobody(daemon, teams):
    red = await teams.add("red")
    tim = await tenant(daemon, "tim", Access.TEAM, red)
    await tim.container("box")
    await daemon.users.set_access("tim", Access.OWN, "")
    await teams.remove("red")
    again = await tenant(daemon, "tina", Access.TEAM, await teams.add("red"))
    assert await again.names() == []
    assert await daemon.names() == ["box"]


async def test_watch_tells_of_own_resources_alone(daemon, alice, bella):
    await bella.container("before")
    watcher = await Watcher(daemon, token=alice.token).begin()
    await bella.container("hers")
    await bella.call("StopResource", id="hers")
    await bella.call("DeleteResource", id="hers")
    await alice.container("mine")
    await watcher.until(lambda: watcher.there)
    assert {change.resource.name for change in watcher.changes} == {"mine"}
    watcher.call.cancel()


async def test_watch_resumes_for_the_same_access_alone(daemon, alice):
    watcher = await Watcher(daemon, token=alice.token).begin()
    watcher.call.cancel()
    again = Watcher(daemon, token=alice.token, resume_token=watcher.resume_token)
    await again.read()
    again.call.cancel()

    changed = await daemon.users.set_access("alice", Access.ALL, "")
    daemon.versions["alice"] = changed.token_version
    refused = await alice.refused("WatchResources", resume_token=watcher.resume_token)
    assert refused.reason == "REVISION_COMPACTED"


async def test_watch_ends_when_the_access_changes(daemon, alice):
    watcher = await Watcher(daemon, token=alice.token).begin()
    async with asyncio.timeout(2.5):
        await daemon.users.set_access("alice", Access.ALL, "")
        ended = await refusal(watcher.call.read())
    assert ended.reason == "TOKEN_INVALID"


async def test_stats_are_those_of_own_resources(daemon, alice, bella):
    await bella.container("hers")
    await alice.container("mine")
    stats = alice.call("StreamStats")
    names = {sample.name for sample in (await stats.read()).stats}
    stats.cancel()
    assert names == {"mine"}
    refused = await alice.refused("StreamStats", ids=["hers"])
    assert refused.reason == "RESOURCE_NOT_FOUND"


async def test_wait_for_gone_of_what_is_somebody_elses_ends_at_once(alice, bella):
    await bella.container("hers")
    condition: dict[str, object] = {"gone": {}}
    answer = await alice.call(
        "WaitResource", id="hers", condition=condition, timeout={"seconds": 9}
    )
    assert not answer.HasField("resource")


async def test_prune_removes_own_containers_alone(daemon, alice, bella):
    await bella.container("hers", start=False)
    mine = await alice.container("mine", start=False)
    await outside(daemon)
    planned = (await alice.call("PruneContainers", validate_only=True)).plan
    assert [(each.id, each.path) for each in planned.removals] == [(mine.id, mine.path)]
    assert planned.removal_count == 1
    pruned = await alice.call("PruneContainers")
    assert list(pruned.container_ids) == [mine.id]
    assert set(await daemon.names()) == {"hers", "outside"}


@pytest.mark.parametrize("method", ["PauseResource", "DeleteResource", "StopResource"])
async def test_verb_on_what_is_somebody_elses_changes_nothing(daemon, alice, bella, method):
    before = await bella.container("hers")
    refused = await alice.refused(method, id="hers")
    assert refused.reason == "RESOURCE_NOT_FOUND"
    after = (await daemon.call("GetResource", id="hers")).resource
    assert after.etag == before.etag


async def test_volumes_are_those_of_own_calls_and_domains(alice, bella):
    await alice.call("CreateVolume", spec={"name": "plain.qcow2", "capacity_bytes": 2**20})
    await alice.domain("vm", disks=[{"new_volume": {"capacity_bytes": 2**20}}])
    assert len(await alice.volumes()) == 2
    assert set((await alice.volumes()).values()) == {"alice"}
    assert await bella.volumes() == {}

    base = {"spec": {"name": "top.qcow2", "base": {"name": "plain.qcow2"}}}
    made = (await alice.call("CreateVolume", **base)).volume
    assert (made.name, made.owner) == ("top.qcow2", "alice")
    await alice.call("DeleteVolume", name="top.qcow2")
    await alice.call("DeleteResource", id="vm")
    assert await alice.volumes() == {"plain.qcow2": "alice"}


async def test_volume_that_is_deleted_leaves_nothing_to_the_next_of_its_name(alice, bella):
    spec = {"name": "disk.qcow2", "capacity_bytes": 2**20}
    await alice.call("CreateVolume", spec=spec)
    await alice.call("DeleteVolume", name="disk.qcow2")
    await bella.call("CreateVolume", spec=spec)
    assert await alice.volumes() == {}
    assert await bella.volumes() == {"disk.qcow2": "bella"}


async def test_disks_in_xml_are_own_volumes_and_nothing_else_of_a_pool(alice, bella):
    """What is not there could become somebody else's before the domain starts."""
    await alice.call("CreateVolume", spec={"name": "hers", "capacity_bytes": 2**20})
    told = set()
    for name in ("hers", "none"):
        for source in (f"file='/memory/default/{name}'", f"pool='default' volume='{name}'"):
            for only_check in (True, False):
                xml = on_disk("thief", source)
                refused = await bella.refused(
                    "CreateDomainFromXml", xml=xml, validate_only=only_check
                )
                assert refused.reason == "INVALID_ARGUMENT"
                told.add(refused.message.replace(name, "NAME"))
    assert told == {
        f"xml: '{source}' cannot be used: No such file or directory"
        for source in ("/memory/default/NAME", "default/NAME")
    }
    media = [{"path": "/memory/default/none.iso"}]
    spec = {"name": "m", "memory_bytes": 2**26, "cdroms": media, "diskless": True}
    assert "No such file" in (await bella.refused("CreateDomain", spec=spec)).message
    await alice.call("CreateDomainFromXml", xml=on_disk("hers", "file='/memory/default/hers'"))


async def test_recreation_keeps_the_owner(daemon, alice):
    await alice.container("mine")
    rpc = RPCS["RecreateContainer"]
    fields = {"id": "mine", "spec": {"env": {"A": "b"}}, "update_mask": {"paths": ["env"]}}
    await daemon.send(rpc, rpc.request(**fields), token=daemon.token("basic", "advanced"))
    assert await alice.names() == ["mine"]


async def test_token_may_narrow_the_access_and_sees_what_that_allows(daemon):
    await tenant(daemon, "alice")
    await outside(daemon)
    await daemon.container("mine")
    login = {"username": "ann", "password": "correct horse", "access": "ACCESS_OWN"}
    token = (await daemon.call("CreateToken", **login)).token
    rpc = RPCS["ListResources"]
    listed = await daemon.send(rpc, rpc.request(), token=token)
    assert [each.name for each in listed.resources] == ["mine"]
    no_team = await refusal(daemon.call("CreateToken", **{**login, "access": "ACCESS_TEAM"}))
    assert no_team.fields == ["access"]


async def test_requests_of_a_wider_token_are_not_those_of_a_narrower_one(daemon, alice, new_id):
    made = await alice.container("hers", labels={"secret": "of-alice"})
    stop = {"id": "hers", "mode": "STOP_MODE_FORCE", "request_id": new_id}
    await daemon.call("StopResource", **stop)
    login = {"username": "ann", "password": "correct horse", "access": "ACCESS_OWN"}
    token = (await daemon.call("CreateToken", **login)).token

    def narrow(method, **fields):
        rpc = RPCS[method]
        return daemon.send(rpc, rpc.request(**fields), token=token)

    for method in ("GetRequest", "CancelRequest"):
        assert (await refusal(narrow(method, request_id=new_id))).reason == "REQUEST_NOT_FOUND"
        assert (await daemon.call(method, request_id=new_id)).request.path == made.path
    assert not (await narrow("ListRequests")).requests
    again = await refusal(narrow("StopResource", **stop))
    assert (again.reason, again.fields) == ("INVALID_ARGUMENT", ["request_id"])
    assert "hers" not in again.message
    own = {"spec": {"image": IMAGE, "name": "own"}, "request_id": str(uuid4())}
    first = await narrow("CreateContainer", **own)
    repeated = await narrow("CreateContainer", **own)
    assert repeated.resource.id == first.resource.id
    (listed,) = (await narrow("ListRequests")).requests
    assert listed.path == first.resource.path
    assert len((await daemon.call("ListRequests")).requests) == 2


async def test_get_caller_tells_access_team_and_profile(daemon, teams, alice):
    told = await alice.call("GetCaller")
    assert (told.access, told.team, told.profile) == (3, "", "default")
    tim = await tenant(daemon, "tim", Access.TEAM, await teams.add("red"))
    told = await tim.call("GetCaller")
    assert (told.access, told.team) == (2, "red")
