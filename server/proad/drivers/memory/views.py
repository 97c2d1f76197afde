"""How the imitated engine shows its workloads: what a run adds, what a summary leaves out."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from proad.model import (
    Container,
    Domain,
    DomainSpec,
    Lifetime,
    PublishedPort,
    Resource,
    ResourceState,
    ResourceView,
)


@dataclass(frozen=True, slots=True)
class Run:
    """What a workload has only while it is active.

    Attributes:
        number: of this run, from 1; process ids and addresses are made of it.
        ports: a container's ports, those included that were picked for it.
        machine: a domain as it was started, with what was changed since and took effect.
        clock: returns the time in seconds.
        ran: seconds that it ran until it was last resumed.
        running_since: when it was last resumed, by the clock; None while it is frozen.
    """

    number: int
    ports: tuple[PublishedPort, ...]
    machine: Domain | None
    clock: Callable[[], float] = field(repr=False)
    ran: float = 0.0
    running_since: float | None = None

    @property
    def seconds(self) -> float:
        """How long it has run, without the time for which it was frozen."""
        running = 0.0 if self.running_since is None else self.clock() - self.running_since
        return self.ran + running

    def running(self, *, on: bool) -> "Run":
        """Return the run as it is once it is frozen, or resumed."""
        if on is (self.running_since is not None):
            return self
        return replace(self, ran=self.seconds, running_since=self.clock() if on else None)


def on_machine(run: Run | None, machine: Domain | None) -> Run | None:
    """Return a run, if there is one, with another size of its domain."""
    return run and replace(run, machine=machine)


def shown(resource: Resource, run: Run | None, snapshots: int, view: ResourceView) -> Resource:
    """Return a resource as a caller sees it."""
    if resource.container is not None:
        container = _running_container(resource.container, run) if run else resource.container
        resource = replace(resource, container=container)
    elif resource.domain is not None:
        domain = _running_domain(resource.domain, run) if run else resource.domain
        domain = replace(domain, spec=_spec(resource))
        domain = replace(
            domain,
            has_saved_state=resource.state is ResourceState.SAVED,
            snapshot_count=snapshots,
            guest_agent_connected=domain.guest_agent_connected and run is not None,
        )
        resource = replace(resource, domain=domain)
    return resource if view is ResourceView.FULL else _summary(resource)


def _spec(resource: Resource) -> DomainSpec | None:
    """Return what the next start of a domain will use."""
    domain = resource.domain
    if domain is None or domain.spec is None:
        return None
    return replace(
        domain.spec,
        name=resource.name,
        memory_bytes=domain.memory_bytes,
        vcpus=domain.vcpus,
        autostart=domain.autostart,
        labels=resource.labels,
        lifetime=resource.lifetime or Lifetime.PERSISTENT,
    )


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
    graphics = domain.graphics
    if graphics is not None and graphics.listen:
        graphics = replace(graphics, port=5900 + run.number)
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
