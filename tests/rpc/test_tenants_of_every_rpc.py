"""Two tenants against every RPC of the contract: nothing of the other's is seen, changed or told.

What names something of the other's must fail as what nobody has: the same code, text and details.
An RPC that is not here fails the build.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import grpc
import pytest

from proad.model import Access
from proad.store.teams import TeamStore
from rpc.daemon import IMAGE, MEMORY_BYTES, RPCS, Refusal
from rpc.tenants import Tenant, tenant

# What is in every name of the victim's, and in nothing of anybody else's.
MARK = "zq7victim"
ABSENT = "zq7nobody"
XML = "<domain type='test'><name>{}</name><memory>65536</memory><os><type>hvm</type></os></domain>"


@dataclass(frozen=True)
class World:
    """What the victim has: `box` is a container, `vm` a domain, both running."""

    victim: Tenant
    intruder: Tenant
    box: Any
    vm: Any
    request_id: str

    async def seen(self):
        """Return all that the victim sees of the victim's own."""
        listed = await self.victim.call("ListResources", view="RESOURCE_VIEW_FULL")
        snapshots = await self.victim.call("ListSnapshots", id=self.vm.id)
        volumes = await self.victim.call("ListVolumes")
        requests = await self.victim.call("ListRequests")
        return listed.resources, snapshots, volumes, requests

    @property
    def secrets(self):
        return {MARK, self.box.id, self.box.id[:12], self.vm.id, self.request_id, "victim"}


@pytest.fixture(params=["own", "team"])
async def world(daemon, request):
    if request.param == "own":
        victim, intruder = await tenant(daemon, MARK), await tenant(daemon, "intruder")
    else:
        teams = TeamStore(daemon.users._database)
        victim = await tenant(daemon, MARK, Access.TEAM, await teams.add(f"{MARK}-team"))
        intruder = await tenant(daemon, "intruder", Access.TEAM, await teams.add("others"))
    box = await victim.container(f"{MARK}-box", labels={MARK: MARK})
    vm = await victim.domain(
        f"{MARK}-vm", start=True, disks=[{"new_volume": {"capacity_bytes": 2**20}}]
    )
    await victim.call("CreateSnapshot", id=vm.id, name=f"{MARK}-snapshot")
    await victim.call("CreateVolume", spec={"name": f"{MARK}-volume", "capacity_bytes": 2**20})
    request_id = str(uuid4())
    await victim.call("PauseResource", id=box.id, request_id=request_id)
    await victim.call("ResumeResource", id=box.id)
    return World(victim, intruder, box, vm, request_id)


def by_id(**fields):
    """The RPC names one resource; its fields by what is written for the resource."""
    return lambda written: {"id": written, **fields}


# RPCs that name a resource.
OF_A_RESOURCE: dict[str, Callable[[str], dict[str, Any]]] = {
    "RecreateContainer": by_id(spec={"tty": True}, update_mask={"paths": ["tty"]}),
    "GetDomainXml": by_id(),
    "GetResource": by_id(),
    "WaitResource": by_id(condition={"ready": {}}, timeout={"seconds": 1}),
    "StreamStats": lambda written: {"ids": [written]},
    "StartResource": by_id(),
    "StopResource": by_id(mode="STOP_MODE_FORCE"),
    "RestartResource": by_id(),
    "PauseResource": by_id(),
    "ResumeResource": by_id(),
    "DeleteResource": by_id(force=True),
    "UpdateResource": by_id(
        container={"deletion_protection": True}, update_mask={"paths": ["deletion_protection"]}
    ),
    "ListSnapshots": by_id(),
    "GetSnapshot": by_id(name=f"{MARK}-snapshot"),
    "CreateSnapshot": by_id(name="mine"),
    "RevertSnapshot": by_id(name=f"{MARK}-snapshot"),
    "DeleteSnapshot": by_id(name=f"{MARK}-snapshot"),
}


def _on_top(base):
    return {"spec": {"name": "mine", "base": {"name": base}}}


def _with_disk(volume):
    disk = {"volume": {"name": volume}}
    return {"spec": {"name": "mine", "memory_bytes": MEMORY_BYTES, "disks": [disk]}}


# RPCs that name something else of the victim's: fields with what is there, with what is not.
OF_SOMETHING_ELSE: dict[str, Callable[[World], tuple[dict[str, Any], dict[str, Any]]]] = {
    "DeleteVolume": lambda _: ({"name": f"{MARK}-volume"}, {"name": f"{ABSENT}-volume"}),
    "CreateVolume": lambda _: (_on_top(f"{MARK}-volume"), _on_top(f"{ABSENT}-volume")),
    "CreateDomain": lambda _: (_with_disk(f"{MARK}-volume"), _with_disk(f"{ABSENT}-volume")),
    "GetRequest": lambda world: ({"request_id": world.request_id}, {"request_id": str(uuid4())}),
    "CancelRequest": lambda world: ({"request_id": world.request_id}, {"request_id": str(uuid4())}),
}
# RPCs that make something, with a name that is the victim's.
OF_A_NEW_NAME: dict[str, Callable[[World], dict[str, Any]]] = {
    "CreateContainer": lambda _: {"spec": {"image": IMAGE, "name": f"{MARK}-box"}},
    "CreateDomain": lambda _: {"spec": {"name": f"{MARK}-vm", "memory_bytes": MEMORY_BYTES}},
    "CreateDomainFromXml": lambda _: {"xml": XML.format(f"{MARK}-vm")},
    "CreateVolume": lambda _: {"spec": {"name": f"{MARK}-volume", "capacity_bytes": 2**20}},
}
# RPCs that answer without a word of the victim's.
OF_EVERYTHING: dict[str, dict[str, Any]] = {
    "ListResources": {},
    "WatchResources": {},
    "PruneContainers": {},
    "ListVolumes": {},
    "ListRequests": {},
    "GetCaller": {},
    "ListHosts": {},
    "GetHost": {},
    "GetServerInfo": {},
    "ListImages": {},
    "GetImage": {"image": IMAGE},
    "PullImage": {"image": "debian:12"},
    "DeleteImage": {"image": IMAGE},
    "LoginRegistry": {"registry": "reg:5000", "username": "u", "password": "wrong"},
    "LogoutRegistry": {"registry": "reg:5000"},
    "CreateToken": {"username": f"{ABSENT}", "password": "wrong"},
    "RefreshToken": {"refresh_token": "wrong"},
    "RevokeToken": {},
    "ListEntries": {},
}
CASES: list[dict[str, Any]] = [OF_A_RESOURCE, OF_SOMETHING_ELSE, OF_A_NEW_NAME, OF_EVERYTHING]


async def outcome(tenant, method, fields):
    """Return the answer or the refusal of a call."""
    call = tenant.call(method, **fields)
    try:
        return await (call.read() if RPCS[method].streams else call)
    except grpc.aio.AioRpcError as error:
        return Refusal.of(error)
    finally:
        call.cancel()


def told(refused, written):
    """Return all that a refusal tells, but for what the caller wrote."""
    texts = [refused.code, refused.reason, refused.message, str(sorted(refused.metadata.items()))]
    texts += [
        str(detail) for name, detail in sorted(refused.details.items()) if name != "RequestInfo"
    ]
    return [text.replace(written, "WRITTEN") for text in texts]


def other(written):
    """Return something that nobody has, as long and of the same kind as what was written."""
    if MARK in written:
        return written.replace(MARK, ABSENT)
    swapped = str.maketrans("0123456789abcdef", "123456789abcdef0")
    head, _, id = written.rpartition("/")
    return f"{head}/{id.translate(swapped)}" if head else id.translate(swapped)


def test_every_rpc_of_the_contract_is_tried():
    assert {name for case in CASES for name in case} == set(RPCS)


@pytest.mark.parametrize("method", OF_A_RESOURCE)
async def test_what_is_somebody_elses_fails_as_what_nobody_has(world, method):
    before = await world.seen()
    for resource in (world.box, world.vm):
        kind = resource.path.split("/")[1]
        for written in (
            resource.id,
            resource.name,
            resource.path,
            resource.id[:8],
            f"{kind}/{resource.name}",
            f"local/{kind}/{resource.name}",
        ):
            nobodys = other(written)
            fields = OF_A_RESOURCE[method]
            refused = await outcome(world.intruder, method, fields(written))
            missing = await outcome(world.intruder, method, fields(nobodys))

            assert isinstance(refused, Refusal), refused
            assert told(refused, written) == told(missing, nobodys)
            assert refused.reason == "RESOURCE_NOT_FOUND"
    assert await world.seen() == before


async def test_delete_with_allow_missing_answers_as_if_nobody_had_it(world):
    before = await world.seen()
    fields = {"id": world.box.id, "force": True, "allow_missing": True}
    assert not (await world.intruder.call("DeleteResource", **fields)).HasField("resource")
    assert await world.seen() == before


@pytest.mark.parametrize("method", OF_SOMETHING_ELSE)
async def test_what_else_is_somebody_elses_fails_as_what_nobody_has(world, method):
    before = await world.seen()
    theirs, nobodys = OF_SOMETHING_ELSE[method](world)
    refused = await outcome(world.intruder, method, theirs)
    missing = await outcome(world.intruder, method, nobodys)

    assert isinstance(refused, Refusal), refused
    assert refused.code == "NOT_FOUND"
    written = [str(fields.get("request_id", MARK)) for fields in (theirs, nobodys)]
    written[1] = written[1].replace(MARK, ABSENT)
    assert told(refused, written[0]) == told(missing, written[1])
    assert await world.seen() == before


@pytest.mark.parametrize("method", OF_A_NEW_NAME)
async def test_taken_name_is_told_without_owner_id_or_state(world, method):
    before = await world.seen()
    fields = OF_A_NEW_NAME[method](world)
    refused = await outcome(world.intruder, method, fields)
    own = await outcome(world.victim, method, fields)

    assert refused.reason == "ALREADY_EXISTS"
    assert told(refused, "") == told(own, "")
    text = "".join(told(refused, "")).replace(f"{MARK}-", "")
    assert [secret for secret in world.secrets if secret in text] == []
    assert await world.seen() == before


@pytest.mark.parametrize("method", OF_EVERYTHING)
async def test_answer_has_nothing_of_somebody_elses(world, method):
    before = await world.seen()
    answer = await outcome(world.intruder, method, OF_EVERYTHING[method])

    text = "".join(told(answer, "")) if isinstance(answer, Refusal) else str(answer)
    assert [secret for secret in world.secrets if secret in text] == []
    assert await world.seen() == before
