"""External actors: random changes made with the engines' own APIs and tools."""

import random
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from typing import Any, Protocol, TypeVar

import libvirt

from proa import v1
from proad.drivers.libvirt.xml.metadata import NAMESPACE, PREFIX
from soak.bare import RefusedError
from soak.setting import IMAGE, Setting

T = TypeVar("T")
State = tuple[str, v1.ResourceState.ValueType]

_MOST = 12
_TOOLS_SHARE = 0.05  # of the changes are made with docker and virsh, which take their time
_TROUBLES = (RefusedError, HTTPException, OSError)
_DOMAIN = """
<domain type='qemu'>
  <name>{name}</name><memory>32768</memory><os><type>hvm</type></os><devices/>
</domain>"""


class ExternalActor(Protocol):
    """Makes changes, tracks the resources, and tolerates an engine that is lost."""

    kind: str
    done: dict[str, int]

    def change(self) -> bool:
        """Make one change; return False if the engine was unreachable."""

    def states(self) -> dict[str, State]:
        """Return name and state of every resource by id, as the engine lists them."""


class DockerExternalActor:
    """Uses the Engine API and the docker command."""

    kind = "docker"

    def __init__(self, setting: Setting, chance: random.Random) -> None:
        self.done: dict[str, int] = {}
        self._docker = setting.docker
        self._chance = chance
        self._serial = 0

    def change(self) -> bool:
        verb = "docker"
        try:
            there = self._docker.containers()
            verb = self._one(there)
        except (*_TROUBLES, subprocess.CalledProcessError):
            return False
        self.done[verb] = self.done.get(verb, 0) + 1
        return True

    def _one(self, there: list[Any]) -> str:
        container = self._chance.choice(there) if there else None
        if container is None or (len(there) < _MOST and self._chance.random() < 0.1):
            self._serial += 1
            body = {
                "Image": IMAGE,
                "Cmd": ["sleep", "86400"],
                "StopSignal": "SIGKILL",  # it dies at once when its engine is asked to go
                "Labels": {"serial": str(self._serial)},
            }
            self._docker("POST", "/containers/create", body, name=f"proa-test-c{self._serial}")
            return "create"
        id, state = container["Id"], container["State"]
        calls: dict[str, Callable[[], object]]
        if state == "running":
            calls = {
                "pause": lambda: self._docker.on(id, "pause"),
                "kill": lambda: self._docker.on(id, "kill"),
                "rename": lambda: self._rename(id),
            }
            weights = [12, 1, 4]
        elif state == "paused":
            calls = {"unpause": lambda: self._docker.on(id, "unpause")}
            weights = [1]
        else:
            calls = {
                "start": lambda: self._docker.on(id, "start"),
                "rename": lambda: self._rename(id),
                "rm": lambda: self._docker("DELETE", f"/containers/{id}"),
            }
            weights = [3, 3, 1]
        (verb,) = self._chance.choices(list(calls), weights)
        if verb != "rename" and self._chance.random() < _TOOLS_SHARE:
            self._tool(verb, id)
            return f"docker {verb}"
        calls[verb]()
        return verb

    def _rename(self, id: str) -> None:
        self._serial += 1
        self._docker.on(id, "rename", name=f"proa-test-c{self._serial}")

    def _tool(self, *arguments: str) -> None:
        command = ["docker", "--host", self._docker.url, *arguments]
        subprocess.run(command, check=True, capture_output=True, timeout=30)

    def states(self) -> dict[str, State]:
        words = {
            "created": v1.RESOURCE_STATE_STOPPED,
            "exited": v1.RESOURCE_STATE_STOPPED,
            "running": v1.RESOURCE_STATE_RUNNING,
            "paused": v1.RESOURCE_STATE_PAUSED,
            "dead": v1.RESOURCE_STATE_FAILED,
        }
        return {
            c["Id"]: (c["Names"][0].removeprefix("/"), words[c["State"]])
            for c in self._docker.containers()
        }


class LibvirtExternalActor:
    """Uses libvirt-python and virsh."""

    kind = "libvirt"

    def __init__(self, setting: Setting, chance: random.Random) -> None:
        self.done: dict[str, int] = {}
        self._uri = setting.libvirtd.uri
        self._connection: libvirt.virConnect | None = None
        self._chance = chance
        self._serial = 0

    def change(self) -> bool:
        try:
            verb = self._asking(self._one)
        except (libvirt.libvirtError, subprocess.CalledProcessError):
            return False
        self.done[verb] = self.done.get(verb, 0) + 1
        return True

    def _asking(self, ask: Callable[[libvirt.virConnect], T]) -> T:
        if self._connection is None:
            self._connection = libvirt.open(self._uri)
        try:
            return ask(self._connection)
        except libvirt.libvirtError:
            with suppress(libvirt.libvirtError):
                self._connection.close()
            self._connection = None
            raise

    def _one(self, connection: libvirt.virConnect) -> str:
        there = connection.listAllDomains()
        domain = self._chance.choice(there) if there else None
        if domain is None or (len(there) < _MOST and self._chance.random() < 0.1):
            self._serial += 1
            connection.defineXML(_DOMAIN.format(name=f"proa-test-d{self._serial}"))
            return "define"
        (state, _), active = domain.state(), domain.isActive()
        calls: dict[str, Callable[[], object]]
        if state == libvirt.VIR_DOMAIN_PAUSED:
            calls = {"resume": domain.resume, "label": lambda: self._label(domain)}
            weights = [3, 1]
        elif active:
            calls = {
                "suspend": domain.suspend,
                "label": lambda: self._label(domain),
                "destroy": domain.destroy,
            }
            weights = [12, 6, 1]
        else:
            calls = {
                "start": domain.create,
                "label": lambda: self._label(domain),
                "rename": lambda: self._rename(domain),
                "undefine": domain.undefine,
            }
            weights = [2, 3, 2, 1]
        (verb,) = self._chance.choices(list(calls), weights)
        if verb not in {"label", "rename"} and self._chance.random() < _TOOLS_SHARE:
            self._tool(verb, domain.UUIDString())
            return f"virsh {verb}"
        calls[verb]()
        return verb

    def _rename(self, domain: libvirt.virDomain) -> None:
        self._serial += 1
        domain.rename(f"proa-test-d{self._serial}")

    def _label(self, domain: libvirt.virDomain) -> None:
        self._serial += 1
        flags = libvirt.VIR_DOMAIN_AFFECT_CONFIG
        if domain.isActive():
            flags |= libvirt.VIR_DOMAIN_AFFECT_LIVE
        notes = f"<domain><label key='serial' value='{self._serial}'/></domain>"
        domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, notes, PREFIX, NAMESPACE, flags)

    def _tool(self, *arguments: str) -> None:
        command = ["virsh", "--quiet", "--connect", self._uri, *arguments]
        subprocess.run(command, check=True, capture_output=True, timeout=30)

    def states(self) -> dict[str, State]:
        words = {
            libvirt.VIR_DOMAIN_RUNNING: v1.RESOURCE_STATE_RUNNING,
            libvirt.VIR_DOMAIN_PAUSED: v1.RESOURCE_STATE_PAUSED,
            libvirt.VIR_DOMAIN_SHUTOFF: v1.RESOURCE_STATE_STOPPED,
        }
        return self._asking(
            lambda connection: {
                domain.UUIDString(): (domain.name(), words[domain.state()[0]])
                for domain in connection.listAllDomains()
            }
        )


def work(actor: ExternalActor, until: Callable[[], bool]) -> None:
    """Make changes, as fast as they go."""
    while not until():
        if not actor.change():
            time.sleep(0.05)  # the engine is away
