"""What is wrong with a request that is only checked: all of it, as the request itself would fail."""

import sqlite3
from contextlib import closing

import pytest

from proa import v1
from proad.model import Access
from proad.rpc.methods import methods
from rpc.daemon import IMAGE, MEMORY_BYTES, RPCS, changing, refusal
from rpc.tenants import tenant
from rpc.test_audit import lines
from rpc.test_validate_only import EFFECTIVE, XML, answer, populated, there
from rpc.watcher import Watcher

__all__ = ["populated"]

MISSING = "proa-test/none:1"
NEW = {"name": "new", "memory_bytes": MEMORY_BYTES}
# Requests of each method that fail for what is there, or is not, each with the reasons.
WRONG = [
    ("StartResource", {"id": "web"}, {"RESOURCE_ALREADY_RUNNING"}),
    ("StartResource", {"id": "off", "from_snapshot": "none"}, {"SNAPSHOT_NOT_FOUND"}),
    ("StopResource", {"id": "old"}, {"RESOURCE_NOT_RUNNING"}),
    ("RestartResource", {"id": "old"}, {"RESOURCE_NOT_RUNNING"}),
    ("PauseResource", {"id": "old"}, {"RESOURCE_NOT_RUNNING"}),
    ("ResumeResource", {"id": "web"}, {"ILLEGAL_STATE"}),
    ("DeleteResource", {"id": "web"}, {"RESOURCE_RUNNING"}),
    ("DeleteResource", {"id": "vm", "force": True}, {"HAS_SNAPSHOTS"}),
    ("DeleteResource", {"id": "vm"}, {"RESOURCE_RUNNING", "HAS_SNAPSHOTS"}),
    ("UpdateResource", {"id": "old", **changing("container", name="web")}, {"ALREADY_EXISTS"}),
    (
        "UpdateResource",
        {"id": "vm", **changing("domain", name="off")},
        {"RESOURCE_RUNNING", "ALREADY_EXISTS"},
    ),
    (
        "UpdateResource",
        {"id": "brief", **changing("container", deletion_protection=True)},
        {"INVALID_ARGUMENT"},
    ),
    ("CreateContainer", {"spec": {"image": IMAGE, "name": "web"}}, {"ALREADY_EXISTS"}),
    (
        "CreateContainer",
        {"spec": {"image": MISSING, "name": "web"}},
        {"IMAGE_NOT_FOUND", "ALREADY_EXISTS"},
    ),
    (
        "RecreateContainer",
        {"id": "web", "spec": {"name": "old"}, "update_mask": {"paths": ["name"]}},
        {"ALREADY_EXISTS"},
    ),
    (
        "RecreateContainer",
        {"id": "web", "spec": {"image": MISSING}, "update_mask": {"paths": ["image"]}},
        {"IMAGE_NOT_FOUND"},
    ),
    ("RecreateContainer", {"id": "paused"}, {"ILLEGAL_STATE"}),
    ("RunCommand", {"id": "paused", "command": {"argv": ["true"]}}, {"ILLEGAL_STATE"}),
    ("MakeDirectory", {"id": "paused", "path": "/a/../b"}, {"INVALID_ARGUMENT"}),
    ("RemoveFile", {"id": "paused", "path": "/etc"}, {"ILLEGAL_STATE"}),
    ("PruneContainers", {"host": "nowhere"}, {"HOST_NOT_FOUND"}),
    (
        "CreateDomain",
        {"spec": {**NEW, "name": "vm", "networks": [{"network": "missing"}]}},
        {"ALREADY_EXISTS", "INVALID_ARGUMENT"},
    ),
    (
        "CreateDomain",
        {"spec": {**NEW, "disks": [{"volume": {"name": "none"}}]}},
        {"VOLUME_NOT_FOUND"},
    ),
    ("CreateDomainFromXml", {"xml": XML.replace("new", "vm")}, {"ALREADY_EXISTS"}),
    ("CreateSnapshot", {"id": "vm", "name": "first"}, {"ALREADY_EXISTS"}),
    ("CreateSnapshot", {"id": "web", "name": "new"}, {"CAPABILITY_MISSING"}),
    ("RevertSnapshot", {"id": "vm", "name": "none"}, {"SNAPSHOT_NOT_FOUND"}),
    ("DeleteSnapshot", {"id": "vm", "name": "none"}, {"SNAPSHOT_NOT_FOUND"}),
    ("CreateVolume", {"spec": {"name": "root", "capacity_bytes": 2**20}}, {"ALREADY_EXISTS"}),
    ("DeleteVolume", {"name": "none"}, {"VOLUME_NOT_FOUND"}),
    ("DeleteVolume", {"name": "used"}, {"IN_USE"}),
    ("PullImage", {"image": "UPPER CASE"}, {"INVALID_ARGUMENT"}),
    ("DeleteImage", {"image": MISSING}, {"IMAGE_NOT_FOUND"}),
    ("LogoutRegistry", {"host": "nowhere"}, {"HOST_NOT_FOUND"}),
]


@pytest.fixture
async def crowded(populated):
    """Add a TRANSIENT container, a domain that does not run, and a volume that one has."""
    await populated.container("brief", lifetime="LIFETIME_TRANSIENT")
    await populated.call("CreateVolume", spec={"name": "used", "capacity_bytes": 2**20})
    await populated.domain("off", start=False, disks=[{"volume": {"name": "used"}}])
    return populated


def told(refused):
    """Return the reasons of a refusal: its own, and those of what else is wrong."""
    failed = refused.details.get("PreconditionFailure")
    types = {each.type for each in failed.violations} if failed else set()
    return types | {refused.reason}


async def fault(daemon, name, request):
    """Return the refusal of a call that must fail."""
    return await refusal(answer(daemon.call(name, **request), name))


def test_wrong_requests_cover_every_method_that_can_be_checked():
    journalled = {path.rpartition("/")[2] for path, m in methods().items() if m.journalled}

    assert {name for name, *_ in WRONG} == journalled, "add requests of this method that fail"


@pytest.mark.parametrize(("name", "request_", "reasons"), WRONG)
async def test_request_fails_for_the_same_when_it_is_only_checked(
    crowded, new_id, name, request_, reasons
):
    before = await there(crowded)

    checked = await fault(crowded, name, {**request_, "validate_only": True, "request_id": new_id})
    done = await fault(crowded, name, request_)

    assert told(checked) >= reasons
    assert (checked.code, checked.reason) == (done.code, done.reason)
    assert told(done) <= told(checked)
    assert checked.fields == done.fields
    assert await there(crowded) == before


def rows(daemon):
    """Return all that the database has, but for the audit log's index, which follows the log."""
    with closing(sqlite3.connect(daemon.settings.state_dir / "proa.db")) as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {
            name: sorted(map(repr, database.execute(f'SELECT * FROM "{name}"')))
            for (name,) in tables
            if not name.startswith("audit")
        }


async def test_checked_requests_leave_database_audit_log_and_watchers_alone(populated):
    watcher = await Watcher(populated).begin()
    seen = len(watcher.changes)
    before, audited = rows(populated), len(lines(populated, "intent"))

    for name, request in EFFECTIVE.items():
        await answer(populated.call(name, validate_only=True, **request), name)

    assert rows(populated) == before
    await populated.container("last")
    await watcher.until(lambda: watcher.changes[seen:])
    assert watcher.changes_by_name[seen:][0] == ("ADDED", "last")
    later = [line["method_name"].rpartition("/")[2] for line in lines(populated, "intent")]
    assert later[audited:] == ["CreateContainer"]


BOTH_QUOTAS = {"quota_resources": 1, "quota_memory_bytes": 2 * MEMORY_BYTES}
TIGHT = {"allowed_container_networks": ["inner"], "allowed_pools": ["a"], **BOTH_QUOTAS}


@pytest.fixture
async def tina(serve):
    """A tenant with a container "web", whose profile allows nothing more."""
    daemon = await serve(policy={"profiles": {"default": TIGHT}})
    tina = await tenant(daemon, "tina", Access.OWN)
    spec = {"image": IMAGE, "name": "web", "networks": [{"network": "inner"}]}
    await tina.call("CreateContainer", spec={**spec, "resources": {"memory_bytes": MEMORY_BYTES}})
    return tina


async def test_faults_of_all_sorts_are_told_at_once_and_the_first_is_the_calls_own(tina):
    spec = {
        "image": MISSING,
        "name": "web",
        "networks": [{"network": "net"}],
        "cap_add": ["SYS_ADMIN"],
    }

    checked = await tina.refused("CreateContainer", spec=spec, validate_only=True)
    done = await tina.refused("CreateContainer", spec=spec)

    assert (checked.code, checked.reason) == ("PERMISSION_DENIED", "POLICY_DENIED")
    assert done.reason == checked.reason
    failed = [(v.type, v.subject) for v in checked.details["PreconditionFailure"].violations]
    assert {subject for _, subject in failed} >= {"spec.networks[0].network", "spec.cap_add[0]"}
    assert told(checked) >= {"IMAGE_NOT_FOUND", "ALREADY_EXISTS", "QUOTA_EXCEEDED"}
    assert checked.message.count("besides") == 3


async def test_fields_that_are_wrong_are_told_all_and_alone(tina):
    spec = {"image": "", "name": "web", "networks": [{"network": "net"}], "stop_signal": "\0"}

    for only in (True, False):
        refused = await tina.refused("CreateContainer", spec=spec, validate_only=only)
        assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "INVALID_ARGUMENT")
        assert {*refused.fields} == {"spec.image", "spec.stop_signal"}


async def test_faults_of_a_domain_are_told_at_once(tina):
    disks = [{"new_volume": {"capacity_bytes": 2**20, "pool": "b"}}]
    request = {"spec": {**NEW, "memory_bytes": 4 * MEMORY_BYTES, "disks": disks}}

    checked = await tina.refused("CreateDomain", validate_only=True, **request)

    assert checked.reason == "POLICY_DENIED"
    assert told(checked) >= {"VOLUME_NOT_FOUND", "QUOTA_EXCEEDED"}


async def test_quota_and_taken_name_of_an_update_are_told_at_once(tina):
    await tina.daemon.container("other", resources={"memory_bytes": MEMORY_BYTES})
    limits = {"memory_bytes": 4 * MEMORY_BYTES}
    request = {
        "container": {"name": "other", "resources": limits},
        "update_mask": {"paths": ["name", "resources.memory_bytes"]},
    }

    checked = await tina.refused("UpdateResource", id="web", validate_only=True, **request)

    assert told(checked) == {"ALREADY_EXISTS", "QUOTA_EXCEEDED"}


async def test_plan_of_a_create_tells_what_the_profile_fills_in_and_no_secret(serve):
    profile = {"default_pids_limit": 77, "default_publish_address": "127.0.0.1"}
    daemon = await serve(policy={"profiles": {"default": profile}})
    spec = {
        "image": IMAGE,
        "name": "web",
        "ports": [{"container_port": 80, "host_port": 18080}],
        "env_secret": {"KEY": {"value": "canary"}},
    }

    answered = await daemon.call("CreateContainer", spec=spec, validate_only=True)
    made = await daemon.call("CreateContainer", spec=spec)

    would = answered.plan.container
    assert (would.resources.pids_limit, would.ports[0].host_ip) == (77, "127.0.0.1")
    assert would.HasField("allow_new_privileges")
    assert not would.allow_new_privileges
    assert would.env_secret["KEY"].redacted
    assert b"canary" not in answered.SerializeToString()
    assert answered == v1.CreateContainerResponse(plan=answered.plan)
    assert not made.HasField("plan")
    spec = made.resource.container.spec
    assert spec.resources.pids_limit == 77
    assert spec.ports == would.ports


async def test_plan_of_the_create_of_a_domain_tells_why_it_may_fail(daemon):
    answered = await daemon.call("CreateDomain", spec={**NEW, "diskless": True}, validate_only=True)

    reasons = {v1.ErrorReason.Name(each) for each in answered.plan.may_fail}
    assert "ERROR_REASON_ALREADY_EXISTS" in reasons
    assert "ERROR_REASON_VOLUME_NOT_FOUND" not in reasons
    assert set(RPCS["CreateDomain"].response.DESCRIPTOR.fields_by_name) == {"resource", "plan"}
