"""Places for one container, domain or volume each, which mutations fill, change and empty."""

import random
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import libvirt
from google.protobuf.field_mask_pb2 import FieldMask

from proa import v1
from soak.bare import Docker
from soak.setting import IMAGE

PREFIX = "proa-test-soak-"
MIB = 2**20

View = dict[str, Any]
"""What of a slot the engines have: how many, in which state, with what."""


@dataclass(frozen=True)
class Step:
    """A mutation.

    Attributes:
        service: of the method.
        method: of the contract.
        request: the request, without its id.
        after: what is different in the view afterwards.
        halves: what may be different in the middle, where a mutation is interrupted there.
    """

    service: str
    method: str
    request: Any
    after: View
    halves: tuple[View, ...] = ()


@dataclass(frozen=True)
class Bare:
    """The engines, past the daemon."""

    docker: Docker
    connect: Callable[[], libvirt.virConnect]
    pool_path: Path


class Slot(ABC):
    """A place for one thing.

    Args:
        number: of the slot.
    """

    def __init__(self, number: int) -> None:
        self.name = f"{PREFIX}{number}"

    @abstractmethod
    def look(self, bare: Bare) -> View:
        """Return what the engines have."""

    @abstractmethod
    def choose(self, view: View, chance: random.Random) -> Step:
        """Return a mutation that is legal."""


def _verb(id: str, verb: str, after: View, **fields: Any) -> Step:
    request = getattr(v1, f"{verb}ResourceRequest")(id=id, **fields)
    return Step("Resource", f"{verb}Resource", request, after)


_LEGAL = {
    "stopped": ("Start", "Delete"),
    "running": ("Stop", "Restart", "Pause", "Delete"),
    "paused": ("Resume", "Stop", "Delete"),
}
_AFTER: dict[str, View] = {
    "Start": {"state": "running"},
    "Stop": {"state": "stopped"},
    "Restart": {"state": "running"},
    "Pause": {"state": "paused"},
    "Resume": {"state": "running"},
}
_FIELDS: dict[str, dict[str, Any]] = {
    "Stop": {"mode": v1.STOP_MODE_FORCE},
    "Restart": {"mode": v1.RESTART_MODE_FORCE},
}
_STATES = {"created": "stopped", "exited": "stopped", "running": "running", "paused": "paused"}


class ContainerSlot(Slot):
    """A container without a name of its own, so that nothing but Proa prevents a second one."""

    def look(self, bare: Bare) -> View:
        here = [
            each for each in bare.docker.containers() if each["Labels"].get("slot") == self.name
        ]
        volumes = bare.docker("GET", "/volumes")["Volumes"] or []
        return {
            "count": len(here),
            "id": here[0]["Id"] if here else "",
            "state": _STATES.get(here[0]["State"], here[0]["State"]) if here else "",
            "turn": here[0]["Labels"].get("turn", "") if here else "",
            "volumes": sum(each["Name"] == self.name for each in volumes),
        }

    def choose(self, view: View, chance: random.Random) -> Step:
        if not view["count"]:
            start = chance.random() < 0.5
            mount = v1.Mount(target="/data", volume=v1.VolumeMount(name=self.name))
            spec = v1.ContainerSpec(
                image=IMAGE,
                command=["sleep", "100000"],
                labels={"slot": self.name},
                networks=[v1.NetworkAttachment(network="none")],
                mounts=[mount],
                stop_signal="SIGKILL",  # which a recreation does not wait for
            )
            request = v1.CreateContainerRequest(spec=spec, start=start)
            state = "running" if start else "stopped"
            made = {"count": 1, "state": state, "volumes": 1}
            return Step("Container", "CreateContainer", request, made)
        if view["state"] in {"running", "stopped"} and chance.random() < 0.15:
            return self._recreate(view)
        verb = chance.choice(_LEGAL.get(view["state"], ("Delete",)))
        if verb == "Delete":
            return _verb(view["id"], verb, {"count": 0, "state": "", "turn": ""}, force=True)
        return _verb(view["id"], verb, _AFTER[verb], **_FIELDS.get(verb, {}))

    def _recreate(self, view: View) -> Step:
        """Return a recreation, whose turn is among the labels."""
        turn = str(int(view["turn"] or 0) + 1)
        request = v1.RecreateContainerRequest(
            id=view["id"],
            spec=v1.ContainerSpec(labels={"slot": self.name, "turn": turn}),
            update_mask=FieldMask(paths=["labels"]),
        )
        return Step("Container", "RecreateContainer", request, {"turn": turn})


class DomainSlot(Slot):
    """A domain with two volumes, and snapshots."""

    def look(self, bare: Bare) -> View:
        names = [path.name for path in bare.pool_path.iterdir()]
        view: View = {
            "count": 0,
            "state": "",
            "files": sum(name.startswith(f"{self.name}-") for name in names),
            "snapshots": (),
        }
        connection = bare.connect()
        try:
            for domain in connection.listAllDomains():
                if domain.name() == self.name:
                    view["count"] += 1
                    view["state"] = _DOMAIN_STATES.get(domain.state()[0], "other")
                    taken = sorted(each.getName() for each in domain.listAllSnapshots())
                    view["snapshots"] = tuple(taken)
        finally:
            with suppress(libvirt.libvirtError):
                connection.close()
        return view

    def choose(self, view: View, chance: random.Random) -> Step:
        if not view["count"]:
            start = chance.random() < 0.5
            disk = v1.DiskSpec(new_volume=v1.NewDisk(capacity_bytes=MIB))
            spec = v1.DomainSpec(
                name=self.name, memory_bytes=32 * MIB, disks=[disk] * 2, networkless=True
            )
            request = v1.CreateDomainRequest(spec=spec, start=start)
            state = "running" if start else "stopped"
            made = {"count": 1, "state": state, "files": 2, "snapshots": ()}
            return Step("Domain", "CreateDomain", request, made)
        if chance.random() < 0.3:
            return self._snapshot(view)
        verb = chance.choice(_LEGAL.get(view["state"], ("Delete",)))
        if verb != "Delete":
            return _verb(self.name, verb, _AFTER[verb], **_FIELDS.get(verb, {}))
        deleted = v1.DeleteResourceRequest(id=self.name, force=True, delete_snapshots=True)
        gone = {"count": 0, "state": "", "files": 0, "snapshots": ()}
        halves = tuple({"state": "stopped", "files": number} for number in range(3))
        return Step("Resource", "DeleteResource", deleted, gone, halves)

    def _snapshot(self, view: View) -> Step:
        if view["snapshots"]:
            dropped = v1.DeleteSnapshotRequest(id=self.name, name="one")
            return Step("Snapshot", "DeleteSnapshot", dropped, {"snapshots": ()})
        taken = v1.CreateSnapshotRequest(id=self.name, name="one")
        return Step("Snapshot", "CreateSnapshot", taken, {"snapshots": ("one",)})


_DOMAIN_STATES = {
    libvirt.VIR_DOMAIN_RUNNING: "running",
    libvirt.VIR_DOMAIN_PAUSED: "paused",
    libvirt.VIR_DOMAIN_SHUTOFF: "stopped",
}


class VolumeSlot(Slot):
    """A volume."""

    def look(self, bare: Bare) -> View:
        return {"count": int((bare.pool_path / self.name).exists())}

    def choose(self, view: View, chance: random.Random) -> Step:
        if view["count"]:
            request = v1.DeleteVolumeRequest(name=self.name)
            return Step("Volume", "DeleteVolume", request, {"count": 0})
        size = chance.randrange(1, 5) * MIB
        spec = v1.VolumeSpec(name=self.name, capacity_bytes=size)
        made = v1.CreateVolumeRequest(spec=spec)
        return Step("Volume", "CreateVolume", made, {"count": 1})
