"""Every RPC of the contract, as an intruder would use it on what is somebody else's.

What names something of the victim's must fail as what nobody has: the same code, text and details.
The tables have every RPC, so that a new one fails the build until it has its place here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import grpc

from rpc.daemon import IMAGE, MEMORY_BYTES, RPCS, Refusal
from rpc.tenants import Tenant

MARK = "zq7victim"
ABSENT = "zq7nobody"
XML = "<domain type='{}'><name>{}</name><memory>65536</memory><os><type>hvm</type></os></domain>"


@dataclass(frozen=True, kw_only=True)
class World:
    """What the victim has: `box` is a container, `vm` a domain, both running.

    Attributes:
        suffix: follows the mark in every name of the victim's, so that no other test has it.
        image: the image of the victim's container, which is everybody's.
        registry: one that nobody answers at.
    """

    victim: Tenant
    intruder: Tenant
    box: Any
    vm: Any
    request_id: str
    suffix: str = ""
    image: str = IMAGE
    registry: str = "reg:5000"
    domain_type: str = "test"
    pull: str = "debian:12"

    @property
    def mark(self):
        """Return what is in every name of the victim's, and in nothing of anybody else's."""
        return MARK + self.suffix

    async def seen(self):
        """Return all that the victim sees of the victim's own, but for when it was looked at."""
        listed = await self.victim.call("ListResources", view="RESOURCE_VIEW_FULL")
        for resource in listed.resources:
            resource.ClearField("observe_time")
        snapshots = await self.victim.call("ListSnapshots", id=self.vm.id)
        volumes = await self.victim.call("ListVolumes")
        requests = await self.victim.call("ListRequests")
        return listed.resources, snapshots, volumes, requests

    @property
    def secrets(self):
        return {MARK, self.box.id, self.box.id[:12], self.vm.id, self.request_id, "victim"}

    def other(self, written):
        """Return something that nobody has, as long and of the same kind as what was written."""
        if MARK in written:
            return written.replace(MARK, ABSENT)
        swapped = str.maketrans("0123456789abcdef", "123456789abcdef0")
        head, _, id = written.rpartition("/")
        return f"{head}/{id.translate(swapped)}" if head else id.translate(swapped)


def by_id(**fields):
    """The RPC names one resource; its fields by what is written for the resource."""
    return lambda _world, written: {"id": written, **fields}


def _snapshot(world, written):
    return {"id": written, "name": f"{world.mark}-snapshot"}


# RPCs that name a resource.
OF_A_RESOURCE: dict[str, Callable[[World, str], dict[str, Any]]] = {
    "RecreateContainer": by_id(spec={"tty": True}, update_mask={"paths": ["tty"]}),
    "GetDomainXml": by_id(),
    "GetResource": by_id(),
    "WaitResource": by_id(condition={"ready": {}}, timeout={"seconds": 1}),
    "StreamStats": lambda _world, written: {"ids": [written]},
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
    "GetSnapshot": _snapshot,
    "CreateSnapshot": by_id(name="mine"),
    "RevertSnapshot": _snapshot,
    "DeleteSnapshot": _snapshot,
    "Exec": lambda _world, written: {"start": {"id": written, "command": {"argv": ["true"]}}},
    "ForwardPort": lambda _world, written: {"start": {"id": written, "port": 7}},
    "Attach": lambda _world, written: {"start": {"id": written}},
    "RunCommand": by_id(command={"argv": ["true"]}),
    "StatFile": by_id(path="/tmp"),
    "ListFiles": by_id(path="/tmp"),
    "ReadFile": by_id(path="/etc/motd"),
    "WriteFile": lambda _world, written: {"start": {"id": written, "path": "/new"}},
    "MakeDirectory": by_id(path="/new"),
    "RemoveFile": by_id(path="/tmp"),
    "StreamLogs": by_id(),
}


def _on_top(base):
    return {"spec": {"name": "mine", "base": {"name": base}}}


def _with_disk(volume):
    disk = {"volume": {"name": volume}}
    return {"spec": {"name": "mine", "memory_bytes": MEMORY_BYTES, "disks": [disk]}}


def _of_a_volume(fields: Callable[[str], dict[str, Any]]):
    def pair(world):
        volume = f"{world.mark}-volume"
        return fields(volume), fields(world.other(volume))

    return pair


def _of_a_request(world):
    return {"request_id": world.request_id}, {"request_id": str(uuid4())}


# RPCs that name something else of the victim's: fields with what is there, with what is not.
OF_SOMETHING_ELSE: dict[str, Callable[[World], tuple[dict[str, Any], dict[str, Any]]]] = {
    "DeleteVolume": _of_a_volume(lambda volume: {"name": volume}),
    "CreateVolume": _of_a_volume(_on_top),
    "CreateDomain": _of_a_volume(_with_disk),
    "GetRequest": _of_a_request,
    "CancelRequest": _of_a_request,
}
# RPCs that make something, with a name that is the victim's.
OF_A_NEW_NAME: dict[str, Callable[[World], dict[str, Any]]] = {
    "CreateContainer": lambda world: {"spec": {"image": world.image, "name": f"{world.mark}-box"}},
    "CreateDomain": lambda world: {
        "spec": {"name": f"{world.mark}-vm", "memory_bytes": MEMORY_BYTES, "networkless": True}
    },
    "CreateDomainFromXml": lambda world: {"xml": XML.format(world.domain_type, f"{world.mark}-vm")},
    "CreateVolume": lambda world: {
        "spec": {"name": f"{world.mark}-volume", "capacity_bytes": 2**20}
    },
}
# RPCs that answer without a word of the victim's.
OF_EVERYTHING: dict[str, Callable[[World], dict[str, Any]]] = {
    "ListResources": lambda _: {},
    "WatchResources": lambda _: {},
    "PruneContainers": lambda _: {},
    "ListVolumes": lambda _: {},
    "ListRequests": lambda _: {},
    "GetCaller": lambda _: {},
    "ListHosts": lambda _: {},
    "GetHost": lambda _: {},
    "GetServerInfo": lambda _: {},
    "ListImages": lambda _: {},
    "GetImage": lambda world: {"image": world.image},
    "PullImage": lambda world: {"image": world.pull},
    "DeleteImage": lambda world: {"image": world.image, "force": True},
    "LoginRegistry": lambda world: {
        "registry": world.registry,
        "username": "u",
        "password": "wrong",
    },
    "LogoutRegistry": lambda world: {"registry": world.registry},
    "CreateToken": lambda _: {"username": ABSENT, "password": "wrong"},
    "RefreshToken": lambda _: {"refresh_token": "wrong"},
    "RevokeToken": lambda _: {},
    "ListEntries": lambda _: {},
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


def references(resource):
    """Return what a resource can be written as."""
    kind = resource.path.split("/")[1]
    return (
        resource.id,
        resource.name,
        resource.path,
        resource.id[:8],
        f"{kind}/{resource.name}",
        f"local/{kind}/{resource.name}",
    )


async def check_resource(world, method):
    """Check that what is somebody else's fails as what nobody has."""
    for resource in (world.box, world.vm):
        for written in references(resource):
            nobodys = world.other(written)
            fields = OF_A_RESOURCE[method]
            refused = await outcome(world.intruder, method, fields(world, written))
            missing = await outcome(world.intruder, method, fields(world, nobodys))

            assert isinstance(refused, Refusal), refused
            assert told(refused, written) == told(missing, nobodys)
            assert refused.reason == "RESOURCE_NOT_FOUND"


async def check_something_else(world, method):
    """Check that what else is somebody else's fails as what nobody has."""
    theirs, nobodys = OF_SOMETHING_ELSE[method](world)
    refused = await outcome(world.intruder, method, theirs)
    missing = await outcome(world.intruder, method, nobodys)

    assert isinstance(refused, Refusal), refused
    assert refused.code == "NOT_FOUND", refused
    written = [str(fields.get("request_id", MARK)) for fields in (theirs, nobodys)]
    written[1] = written[1].replace(MARK, ABSENT)
    assert told(refused, written[0]) == told(missing, written[1])


async def check_new_name(world, method):
    """Check that a name that is taken is told without owner, id and state."""
    fields = OF_A_NEW_NAME[method](world)
    refused = await outcome(world.intruder, method, fields)
    own = await outcome(world.victim, method, fields)

    assert refused.reason == "ALREADY_EXISTS", refused
    assert told(refused, "") == told(own, "")
    text = "".join(told(refused, "")).replace(f"{world.mark}-", "")
    assert [secret for secret in world.secrets if secret in text] == []


async def check_everything(world, method):
    """Check that an answer has nothing of somebody else's."""
    answer = await outcome(world.intruder, method, OF_EVERYTHING[method](world))

    if method == "ListEntries":  # an entry has what its own caller wrote, as it was written
        assert {entry.username for entry in answer.entries} <= {"intruder"}
        for entry in answer.entries:
            for written in ("target", "snapshot", "request_id"):
                entry.ClearField(written)
    text = "".join(told(answer, "")) if isinstance(answer, Refusal) else str(answer)
    assert [secret for secret in world.secrets if secret in text] == []


CHECKS = (
    (check_resource, OF_A_RESOURCE),
    (check_something_else, OF_SOMETHING_ELSE),
    (check_new_name, OF_A_NEW_NAME),
    (check_everything, OF_EVERYTHING),
)
