"""How the imitated engine shows its workloads: what a run adds, what a summary leaves out."""

import time
from dataclasses import dataclass, field, replace

from proad.model import (
    Container,
    Domain,
    PublishedPort,
    Resource,
    ResourceState,
    ResourceView,
)


def _seconds() -> float:
    return time.monotonic()


@dataclass(frozen=True, slots=True)
class Run:
    """What a workload has only while it is active.

    Attributes:
        number: of this run, from 1; process ids and addresses are made of it.
        ports: a container's ports, those included that were picked for it.
        machine: a domain as it was started, with what was changed since and took effect.
        went: seconds that it ran until it last began to go on.
        going_since: when that was, by the monotonic clock; None while it is frozen.
    """

    number: int
    ports: tuple[PublishedPort, ...] = ()
    machine: Domain | None = None
    went: float = 0.0
    going_since: float | None = field(default_factory=_seconds)

    @property
    def seconds(self) -> float:
        """How long it has run, without the time that it was frozen for."""
        going = 0.0 if self.going_since is None else _seconds() - self.going_since
        return self.went + going

    def going(self, *, on: bool) -> "Run":
        """Give it as it is when it is frozen, or goes on."""
        if on is (self.going_since is not None):
            return self
        return replace(self, went=self.seconds, going_since=_seconds() if on else None)


def on_machine(run: Run | None, machine: Domain | None) -> Run | None:
    """Give a run, if there is one, with another size of its domain."""
    return run and replace(run, machine=machine)


def shown(resource: Resource, run: Run | None, snapshots: int, view: ResourceView) -> Resource:
    """Give a resource as a caller sees it."""
    if resource.container is not None:
        container = _running_container(resource.container, run) if run else resource.container
        resource = replace(resource, container=container)
    elif resource.domain is not None:
        domain = _running_domain(resource.domain, run) if run else resource.domain
        domain = replace(
            domain,
            has_saved_state=resource.state is ResourceState.SAVED,
            snapshot_count=snapshots,
            guest_agent_connected=domain.guest_agent_connected and run is not None,
        )
        resource = replace(resource, domain=domain)
    return resource if view is ResourceView.FULL else _summary(resource)


def _running_container(container: Container, run: Run) -> Container:
    address = f"172.17.0.{run.number % 250 + 2}"
    networks = tuple(
        each if each.stands_alone else replace(each, ipv4_address=each.ipv4_address or address)
        for each in container.networks
    )
    return replace(container, ports=run.ports, networks=networks, pid=1000 + run.number)


def _running_domain(domain: Domain, run: Run) -> Domain:
    networks = tuple(
        replace(
            each,
            host_device=f"vnet{run.number}" + (f"-{index}" if index else ""),
            addresses=(f"192.168.122.{run.number % 250 + 2}/24",),
        )
        for index, each in enumerate(domain.networks)
    )
    graphics = domain.graphics and replace(domain.graphics, port=5900 + run.number)
    machine = run.machine or domain
    return replace(
        domain,
        memory_bytes=machine.memory_bytes,
        max_memory_bytes=machine.max_memory_bytes,
        vcpus=machine.vcpus,
        runtime_id=run.number,
        networks=networks,
        graphics=graphics,
    )


def _summary(resource: Resource) -> Resource:
    detail = replace(resource.state_detail, start_time=None, finish_time=None)
    resource = replace(resource, state_detail=detail)
    if (full := resource.container) is not None:
        container = Container(
            image=full.image,
            image_id=full.image_id,
            ports=full.ports,
            networks=tuple(replace(network, aliases=()) for network in full.networks),
            mounts=tuple(mount for mount in full.mounts if mount.tmpfs is None),
        )
        return replace(resource, container=container)
    if (whole := resource.domain) is not None:
        domain = Domain(
            memory_bytes=whole.memory_bytes,
            max_memory_bytes=whole.max_memory_bytes,
            vcpus=whole.vcpus,
            autostart=whole.autostart,
        )
        return replace(resource, domain=domain)
    return resource
