"""Every path that makes an owner have more is held against the quotas.

An RPC that changes something stands in `COUNTED`, with a request that exceeds a quota, or in
`UNCOUNTED` with the reason why it adds nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from hostile_xml.document import NAME, whole
from proad.core.local_records import LocalResourceRecords
from proad.drivers.memory import MemoryDriver
from proad.rpc.methods import methods
from rpc.daemon import IMAGE, MEMORY_BYTES, changing, running
from rpc.engines import container_engine, domain_engine
from rpc.tenants import tenant
from rpc.test_quotas import box, policy_of, used

PORT = {"container_port": 80, "host_port": 18080}
SMALL = "<memory unit='KiB'>131072</memory><currentMemory unit='KiB'>32768</currentMemory>"


@dataclass(frozen=True)
class Counted:
    """How a method is counted.

    Attributes:
        quota: the quota that its request exceeds.
        limit: of that quota.
        before: calls of the tenant's before it, each with its request.
        request: the request.
        further: other settings of the profile.
    """

    quota: str
    limit: float
    request: Mapping[str, Any]
    before: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    further: Mapping[str, Any] = field(default_factory=dict)


def vm(*, start=False, **spec):
    spec = {"name": "vm", "memory_bytes": MEMORY_BYTES, **spec}
    return ("CreateDomain", {"spec": spec, "start": start})


def shrunk(**values):
    return ("UpdateResource", {"id": "vm", **changing("domain", **values)})


def grown(id, kind, path, value):
    fields = value
    for part in reversed(path.split(".")):
        fields = {part: fields}
    return {"id": id, kind: fields, "update_mask": {"paths": [path]}}


RUNNING = ("CreateContainer", {"spec": {"image": IMAGE, "name": "web"}, "start": True})
STOPPED = ("CreateContainer", {"spec": {"image": IMAGE, "name": "db"}})
LIMITED = (
    "CreateContainer",
    {"spec": {"image": IMAGE, "name": "db", "resources": {"memory_bytes": MEMORY_BYTES}}},
)
SNAPSHOT = ("CreateSnapshot", {"id": "vm", "name": "large"})
LARGE_BEFORE = (
    vm(memory_bytes=2 * MEMORY_BYTES),
    SNAPSHOT,
    shrunk(memory_bytes=MEMORY_BYTES),
    ("CreateDomain", {"spec": {"name": "other", "memory_bytes": MEMORY_BYTES}}),
)

COUNTED = {
    "CreateContainer": [
        Counted("resources", 1, box(), (STOPPED,)),
        Counted("running", 1, {**box(), "start": True}, (RUNNING,)),
        Counted("ports", 1, {"spec": {"image": IMAGE, "ports": [PORT, {"container_port": 81}]}}),
        Counted("cpus", 1, box(cpus=1.5)),
    ],
    "CreateDomain": [
        Counted("resources", 1, vm()[1], (STOPPED,)),
        Counted("memory_bytes", MEMORY_BYTES, vm(memory_bytes=2 * MEMORY_BYTES)[1]),
        Counted("cpus", 1, vm(vcpus=2)[1]),
        Counted("disk_bytes", 1, vm(disks=[{"new_volume": {"capacity_bytes": 2**20}}])[1]),
        Counted("running", 1, vm(start=True)[1], (RUNNING,)),
    ],
    "CreateDomainFromXml": [
        # The guest may take all of it, whatever the balloon is told.
        Counted("memory_bytes", MEMORY_BYTES, {"xml": whole(memory=SMALL).replace(NAME, "vm")}),
        Counted("cpus", 1, {"xml": whole(vcpu="<vcpu>2</vcpu>").replace(NAME, "vm")}),
    ],
    "CreateVolume": [
        Counted("disk_bytes", 1, {"spec": {"name": "v.qcow2", "capacity_bytes": 2**20}}),
    ],
    "UpdateResource": [
        Counted(
            "memory_bytes",
            MEMORY_BYTES,
            grown("db", "container", "resources.memory_bytes", 2 * MEMORY_BYTES),
            (LIMITED,),
        ),
        Counted("cpus", 1, grown("vm", "domain", "vcpus", 2), (vm(),)),
        Counted(
            "memory_bytes",
            MEMORY_BYTES,
            grown("vm", "domain", "memory_bytes", 2 * MEMORY_BYTES),
            (vm(),),
        ),
    ],
    "RecreateContainer": [
        Counted(
            "ports",
            1,
            grown("db", "spec", "ports", [PORT, PORT | {"host_port": 18081}]),
            (STOPPED,),
        ),
        Counted(
            "memory_bytes",
            MEMORY_BYTES,
            grown("db", "spec", "resources.memory_bytes", 2 * MEMORY_BYTES),
            (LIMITED,),
        ),
        Counted(
            "cpus",
            1,
            grown("db", "spec", "resources.cpus", 2),
            (STOPPED,),
            {"quota_default_cpus": 1},
        ),
    ],
    "StartResource": [
        Counted("running", 1, {"id": "db"}, (RUNNING, STOPPED)),
        Counted(
            "running",
            1,
            {"id": "vm"},
            (vm(start=True), ("StopResource", {"id": "vm", "mode": "STOP_MODE_SAVE"}), RUNNING),
        ),
        Counted(
            "memory_bytes", 2 * MEMORY_BYTES, {"id": "vm", "from_snapshot": "large"}, LARGE_BEFORE
        ),
    ],
    "RevertSnapshot": [
        Counted("memory_bytes", 2 * MEMORY_BYTES, {"id": "vm", "name": "large"}, LARGE_BEFORE),
        Counted(
            "running",
            1,
            {"id": "vm", "name": "large", "state": "REVERT_STATE_RUNNING"},
            (vm(), SNAPSHOT, RUNNING),
        ),
    ],
}

UNCOUNTED = {
    "RestartResource": "what it restarts runs, and counts all the time",
    "PauseResource": "what is paused counts as what runs",
    "ResumeResource": "what is paused counts as what runs",
    "StopResource": "gives back",
    "DeleteResource": "gives back",
    "PruneContainers": "gives back",
    "DeleteVolume": "gives back",
    "DeleteSnapshot": "gives back",
    "DeleteImage": "images belong to nobody",
    "PullImage": "images belong to nobody",
    "CreateSnapshot": "snapshots are in the volumes, whose capacity counts",
    "LoginRegistry": "makes nothing",
    "LogoutRegistry": "makes nothing",
    "Exec": "works inside of what counts",
    "RunCommand": "works inside of what counts",
    "ReadFile": "works inside of what counts",
    "WriteFile": "works inside of what counts",
    "MakeDirectory": "works inside of what counts",
    "RemoveFile": "works inside of what counts",
    "ForwardPort": "works inside of what counts",
    "Attach": "works inside of what counts",
    "CreateToken": "makes nothing",
    "RefreshToken": "makes nothing",
    "RevokeToken": "makes nothing",
    "CancelRequest": "makes nothing",
}

CASES = [(name, case) for name, cases in COUNTED.items() for case in cases]


def test_every_method_that_changes_something_is_known_to_the_quotas():
    changing_methods = {m.path.rpartition("/")[2] for m in methods().values() if m.changes}

    assert not COUNTED.keys() & UNCOUNTED.keys()
    assert changing_methods == COUNTED.keys() | UNCOUNTED.keys(), (
        "say in rpc/test_quota_paths.py how the quotas count this method, or why they need not"
    )


@pytest.mark.parametrize(
    ("name", "case"),
    CASES,
    ids=[f"{name}-{case.quota}-{n}" for n, (name, case) in enumerate(CASES)],
)
async def test_method_beyond_a_quota_is_refused(serve, name, case):
    limits = {f"quota_{case.quota}": case.limit, **case.further}
    daemon = await serve(policy=policy_of(limits))
    alice = await tenant(daemon, "alice")
    for method, request in case.before:
        await alice.call(method, **request)
    for only_checked in ({"validate_only": True}, {}):
        refusal = await alice.refused(name, **case.request, **only_checked)
        assert refusal.reason == "QUOTA_EXCEEDED", refusal
        assert refusal.metadata["quota"] == case.quota


@pytest.mark.parametrize("method", ["RestartResource", "RecreateContainer"])
async def test_place_of_what_restarts_is_not_given_away(serve, method):
    """The engine stops it in between."""
    daemon = await serve(policy=policy_of({"quota_running": 1}))
    alice = await tenant(daemon, "alice")
    labels = {"proa.memory/stop-after": "0.3"}
    await alice.container("web", labels=labels)
    await alice.container("db", start=False)
    restart = alice.call(method, id="web")
    seen = set()
    while not restart.done():
        seen.add((await alice.refused("StartResource", id="db")).reason)
    await restart
    assert seen == {"QUOTA_EXCEEDED"}
    assert await used(alice, "RUNNING") == 1


async def test_size_of_the_next_start_counts_from_when_it_was_asked_for(serve):
    limits = {"quota_memory_bytes": 4 * MEMORY_BYTES}
    daemon = await serve(policy=policy_of(limits))
    alice = await tenant(daemon, "alice")
    await alice.domain("vm", start=True)
    answer = await alice.call("UpdateResource", **grown("vm", "domain", "memory_bytes", 2**27))
    assert answer.resource.domain.max_memory_bytes == MEMORY_BYTES
    assert await used(alice, "MEMORY_BYTES") == 2**27
    await alice.call("UpdateResource", **grown("vm", "domain", "memory_bytes", MEMORY_BYTES))
    assert await used(alice, "MEMORY_BYTES") == MEMORY_BYTES


async def test_revert_to_a_smaller_size_gives_back(serve):
    limits = {"quota_memory_bytes": 4 * MEMORY_BYTES}
    daemon = await serve(policy=policy_of(limits))
    alice = await tenant(daemon, "alice")
    await alice.domain("vm")
    await alice.call("CreateSnapshot", id="vm", name="small")
    await alice.call("UpdateResource", **grown("vm", "domain", "memory_bytes", 2 * MEMORY_BYTES))
    assert await used(alice, "MEMORY_BYTES") == 2 * MEMORY_BYTES
    await alice.call("RevertSnapshot", id="vm", name="small")
    assert await used(alice, "MEMORY_BYTES") == MEMORY_BYTES


async def test_create_of_which_nothing_was_seen_does_not_use_up_a_quota_without_limit(settings):
    """Its record has no limit of memory: it was made before there was a quota."""
    driver, rows = MemoryDriver(), LocalResourceRecords()
    limits = settings(policy=policy_of({"quota_memory_bytes": 2**40}))
    async with running(settings(policy=policy_of({})), [("local", driver)], records=rows) as daemon:
        alice = await tenant(daemon, "alice")
        await alice.container("aa")
    async with running(limits, [("local", driver)], records=rows) as daemon:
        alice = type(alice)(daemon, alice.name, alice.id)
        await alice.container("bb", resources={"memory_bytes": 2**30})


async def test_resources_of_an_engine_that_has_not_answered_count(settings):
    boxes, machines = container_engine(), domain_engine()
    rows = LocalResourceRecords()
    limits = settings(policy=policy_of({"quota_resources": 2}))
    pairs = [("local", boxes), ("local", machines)]
    async with running(limits, pairs, records=rows) as daemon:
        alice = await tenant(daemon, "alice")
        await alice.domain("vm")
    machines.mode = "lost"
    async with running(limits, pairs, records=rows) as daemon:
        alice = type(alice)(daemon, alice.name, alice.id)
        assert await used(alice, "RESOURCES") == 1
        await alice.container("aa", start=False)
        assert (await alice.refused("CreateContainer", **box())).reason == "QUOTA_EXCEEDED"
        await alice.call("DeleteResource", id="aa")
        await alice.container("bb")
