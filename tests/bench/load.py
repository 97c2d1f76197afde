"""The load: containers and domains on the real engines, removed at the end in any case."""

import secrets
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import libvirt

from bench.bare import BareDocker
from bench.plan import Plan

T = TypeVar("T")
R = TypeVar("R")

_IMAGE = "proa-test/busybox:1"
_LABEL = "proa.bench"
_AT_ONCE = 4
_DOMAIN = """
<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>64</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64'>hvm</type></os>
</domain>
"""


class Load:
    """The resources that one run created.

    Attributes:
        containers: full ids of those that were created and do not run.
        running_containers: full ids of those that run.
        domains: UUIDs of those that are defined and do not run.
        running_domains: UUIDs of those that run, without a guest.
    """

    def __init__(self, libvirt_connection: Any) -> None:
        self.name = f"proa-bench-{secrets.token_hex(4)}"
        self.containers: list[str] = []
        self.running_containers: list[str] = []
        self.domains: list[str] = []
        self.running_domains: list[str] = []
        self._libvirt = libvirt_connection
        self._of_thread = threading.local()

    @property
    def ids(self) -> set[str]:
        """The ids of all containers and domains."""
        return {
            *self.containers,
            *self.running_containers,
            *self.domains,
            *self.running_domains,
        }

    def build(self, plan: Plan) -> None:
        """Create the containers and domains of a plan."""
        self.containers = _parallel(self._create, range(plan.containers))
        self.domains = _parallel(self._define, range(plan.domains))
        running = range(plan.running)
        self.running_containers = [self.containers.pop() for _ in running]
        self.running_domains = [self.domains.pop() for _ in running]
        _parallel(
            lambda id: self.docker("POST", f"/containers/{id}/start"), self.running_containers
        )
        _parallel(lambda id: self.domain(id).create(), self.running_domains)

    def add_domains(self, count: int) -> None:
        """Define more domains."""
        taken = range(len(self.ids), len(self.ids) + count)
        self.domains += _parallel(self._define, taken)

    def docker(self, method: str, path: str, body: object = None) -> Any:
        """Ask the Engine, each thread over a connection of its own."""
        return self._connection.ask(method, path, body)

    def domain(self, uuid: str) -> Any:
        """Look up a domain."""
        return self._libvirt.lookupByUUIDString(uuid)

    def remove(self) -> None:
        """Remove everything with the name of this run, also after a failure."""
        containers = [found["Id"] for found in self._connection.labelled(f"{_LABEL}={self.name}")]
        _parallel(lambda id: self.docker("DELETE", f"/containers/{id}?force=1"), containers)
        domains = [
            domain
            for domain in self._libvirt.listAllDomains()
            if domain.name().startswith(self.name)
        ]
        _parallel(_undefine, domains)

    @property
    def _connection(self) -> BareDocker:
        if not hasattr(self._of_thread, "docker"):
            self._of_thread.docker = BareDocker()
        docker: BareDocker = self._of_thread.docker
        return docker

    def _create(self, number: int) -> str:
        created = self.docker(
            "POST",
            f"/containers/create?name={self.name}-c{number}",
            {
                "Image": _IMAGE,
                "Cmd": ["sleep", "3600"],
                "Labels": {_LABEL: self.name, "app": f"shop-{number % 10}", "tier": "web"},
            },
        )
        id: str = created["Id"]
        return id

    def _define(self, number: int) -> str:
        domain = self._libvirt.defineXML(_DOMAIN.format(name=f"{self.name}-d{number}"))
        uuid: str = domain.UUIDString()
        return uuid


def _undefine(domain: Any) -> None:
    if domain.isActive():
        domain.destroy()
    domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE)


def _parallel(act: Callable[[T], R], items: Iterable[T]) -> list[R]:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            return list(pool.map(act, items))
        except BaseException:
            # Ctrl-C: what has begun ends, and is removed; the rest need not begin.
            pool.shutdown(cancel_futures=True)
            raise
