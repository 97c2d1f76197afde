"""What a specification gets from the profile where it says nothing."""

from dataclasses import replace
from typing import TypeVar

from proad.model import (
    NETWORK_OF,
    ContainerResources,
    ContainerSpec,
    Mount,
    NetworkAttachment,
    PublishedPort,
)
from proad.policy.containers.networks import may_use_default, own_networks
from proad.policy.containers.surroundings import Surroundings
from proad.policy.profile import Profile


def with_defaults(spec: ContainerSpec, profile: Profile) -> ContainerSpec:
    """Return a specification with what the profile has for fields that say nothing.

    What the specification says stays, whether the profile allows it or not.
    """
    return replace(
        spec,
        ports=tuple(_port(port, profile) for port in spec.ports),
        mounts=tuple(_mount(mount, profile) for mount in spec.mounts),
        networks=spec.networks or _networks(profile),
        resources=_resources(spec.resources, profile),
        shm_size_bytes=spec.shm_size_bytes or profile.max_shm_bytes or None,
        allow_new_privileges=(
            profile.allow_new_privileges
            if spec.allow_new_privileges is None
            else spec.allow_new_privileges
        ),
    )


def with_joined(spec: ContainerSpec, around: Surroundings) -> ContainerSpec:
    """Return a specification that names what it joins so that it is nothing else later.

    That is a container whose network it joins by its full id, and a network by its name: what
    else they are called could be another's by the time that the engine reads it.
    """
    return replace(
        spec,
        networks=tuple(
            replace(each, network=_called(each.network, around)) for each in spec.networks
        ),
    )


def _called(network: str, around: Surroundings) -> str:
    if (joined := around.joined.get(network)) is not None:
        return f"{NETWORK_OF}{joined.id}"
    known = around.networks.get(network)
    return network if known is None else known.name


def _port(port: PublishedPort, profile: Profile) -> PublishedPort:
    return port if port.host_ip else replace(port, host_ip=profile.default_publish_address)


def _mount(mount: Mount, profile: Profile) -> Mount:
    if mount.tmpfs is None or mount.tmpfs.size_bytes is not None or not profile.max_tmpfs_bytes:
        return mount
    return replace(mount, tmpfs=replace(mount.tmpfs, size_bytes=profile.max_tmpfs_bytes))


def _networks(profile: Profile) -> tuple[NetworkAttachment, ...]:
    """Return the first network that is listed, where the engine's default is not allowed."""
    if may_use_default(profile):
        return ()
    return tuple(NetworkAttachment(network=name) for name in own_networks(profile)[:1])


def _resources(asked: ContainerResources, profile: Profile) -> ContainerResources:
    pids = profile.default_pids_limit
    if profile.max_pids_limit:
        pids = min(pids or profile.max_pids_limit, profile.max_pids_limit)
    return replace(
        asked,
        memory_bytes=_unless(asked.memory_bytes, profile.max_memory_bytes),
        cpus=_unless(asked.cpus, profile.max_cpus),
        pids_limit=_unless(asked.pids_limit, pids),
    )


T = TypeVar("T", int, float)


def _unless(asked: T | None, cap: T) -> T | None:
    return asked if asked is not None or not cap else cap
