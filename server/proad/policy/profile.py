"""The settings of a profile, and the host's policy: a ceiling, and profiles within it.

A setting is a field of `Profile` whose type says how two values of it compare (`policy.bounds`).
To add one: a field here, its default in `proa.example.toml`, a rule that names it.
"""

from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from types import MappingProxyType
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from proad.model import DEFAULT_PROFILE
from proad.policy.bounds import (
    ANY,
    Bound,
    Foreign,
    Most,
    MostCpus,
    MostOfEach,
    Names,
    Networks,
    Power,
    Preset,
    PresetCpus,
    PresetText,
    Registries,
    Roots,
    Switch,
    VolumeNames,
)

CAPABILITIES = (
    *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD"),
    *("NET_BIND_SERVICE", "NET_RAW", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
)
"""Docker's own default set."""

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


class Profile(BaseModel):
    """What its users may ask of the host. Each default is a safe one.

    In a limit, 0 stands for no limit; in a list of names, "*" for all names.

    Attributes:
        foreign: what may be done to instances that were not made through Proa.
        allowed_registries: registries of images; "*": all but on the host itself and its own link.

        quota_resources, quota_running, quota_cpus, quota_memory_bytes, quota_disk_bytes,
        quota_ports: the most that one owner may have in sum: a user with this profile, or such a
            user's team.
        quota_default_cpus, quota_default_memory_bytes: what a container without a limit counts for.

        max_memory_bytes, max_cpus: memory and CPUs of one container or domain.
        max_pids_limit, default_pids_limit: processes of a container, and of one that says nothing.
        max_ulimits: the hard limit of each ulimit by its name.
        max_shm_bytes, max_tmpfs_bytes: size of /dev/shm, and of each tmpfs.
        publish_addresses: addresses of the host that ports may be published on.
        default_publish_address: the one of a port that says nothing.
        allow_shared_networks: the engines' default networks, Docker's `bridge` and libvirt's
            `default`, on which everybody's are, for callers without access to all.
        allowed_container_networks: Docker's networks.
        allowed_log_drivers: those that keep the log on the host by default.
        allowed_volume_drivers: drivers of named volumes.
        allow_volume_options: volumes with options of their driver, which may hide a bind mount.
        allow_volumes_from: the mounts of another container.
        bind_roots: folders of the host that may be mounted, or what is below them.
        allow_mount_propagation: mounts that the host and a container see of each other.
        allow_privileged: privileged containers.
        allow_new_privileges: processes may gain privileges, as sudo and setuid sandboxes need it.
        allow_unconfined: without AppArmor, seccomp or SELinux, or with another profile of them.
        allow_unmasked_paths: without the masks over /proc and /sys.
        allowed_capabilities: what cap_add may name.
        allowed_host_namespaces: of pid, ipc, uts, network, user and cgroup.
        allow_joined_namespaces: namespaces of somebody else's container, or of a process.
        allowed_devices: devices of the host by their path.
        allow_device_requests: devices by their driver, such as GPUs.
        allow_device_rules: rules of the device cgroup.
        allowed_sysctls, allowed_runtimes, allowed_cgroup_parents: by name.
        allow_oom_settings: a score of one's own, or no OOM killer.
        allow_realtime: real-time scheduling.
        allow_storage_options: options of the storage driver.
        allow_group_add: additional groups of the process.
        allow_links: links to other containers.
        allow_dns: name servers and search domains other than the host's.
        allow_extra_hosts: entries of /etc/hosts.
        allow_fixed_addresses: IP and MAC addresses that the caller chooses.
        allowed_engine_settings: further settings of containers that were made outside Proa, as
            `spec_omits` names them.

        max_snapshots: of one domain; those with memory take as much of its pool as it has.
        allowed_pools: storage pools of disks and volumes.
        shared_volumes: volumes of the host and of users with access to all that others may see, and
            use as a base or a medium.
        disk_roots: folders of the host whose files may be disks or media of a domain.
        allowed_domain_networks: libvirt's networks.
        display_addresses: addresses that a screen may listen on.
        allow_display_passwords: passwords of a screen in the XML.
        allow_host_devices: devices of the host in a domain: hostdev, mediated ones, TPM.
        allow_shared_folders: folders of the host in a domain: filesystem.
        allow_shared_memory: shmem, ivshmem and memory backed by files or huge pages.
        allow_network_disks: disks over the network.
        allow_device_disks: block devices of the host as disks.
        allow_backing_stores: backing files that the caller names.
        allow_host_channels: character devices on files, pipes, sockets or devices of the host.
        allow_bridges: interfaces beside libvirt's networks: bridge, direct, vhost-user.
        allow_network_scripts, allow_network_filters: of an interface.
        allow_pinning: placement on CPUs and NUMA nodes, and tuning of memory and block devices.
        allow_security_labels: seclabel.
        allow_disk_secrets: secrets of libvirt: encryption, authentication.
        allow_coredumps: of a guest that crashes.
        allow_direct_boot: a kernel, a loader or an NVRAM file by its path.
        allowed_emulators: emulators other than libvirt's own by their path.
        allow_emulator_arguments: the qemu namespace: arguments, environment, overrides.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    quota_resources: Most = 0
    quota_running: Most = 0
    quota_cpus: MostCpus = 0
    quota_memory_bytes: Most = 0
    quota_disk_bytes: Most = 0
    quota_ports: Most = 0
    quota_default_cpus: PresetCpus = 0
    quota_default_memory_bytes: Preset = 0

    foreign: Power = Foreign.LIFECYCLE
    allowed_registries: Registries = (ANY,)

    max_memory_bytes: Most = 0
    max_cpus: MostCpus = 0
    max_pids_limit: Most = 65_536
    default_pids_limit: Preset = 4_096
    max_ulimits: MostOfEach = Field(default_factory=dict)
    max_shm_bytes: Most = 0
    max_tmpfs_bytes: Most = 0
    publish_addresses: Networks = LOOPBACK
    default_publish_address: PresetText = "127.0.0.1"
    allow_shared_networks: Switch = False
    allowed_container_networks: Names = (ANY,)
    allowed_log_drivers: Names = ("json-file", "local", "none")
    allowed_volume_drivers: Names = ("local",)
    allow_volume_options: Switch = False
    allow_volumes_from: Switch = False
    bind_roots: Roots = ()
    allow_mount_propagation: Switch = False
    allow_privileged: Switch = False
    allow_new_privileges: Switch = False
    allow_unconfined: Switch = False
    allow_unmasked_paths: Switch = False
    allowed_capabilities: Names = CAPABILITIES
    allowed_host_namespaces: Names = ()
    allow_joined_namespaces: Switch = False
    allowed_devices: Names = ()
    allow_device_requests: Switch = False
    allow_device_rules: Switch = False
    allowed_sysctls: Names = ()
    allowed_runtimes: Names = ()
    allowed_cgroup_parents: Names = ()
    allow_oom_settings: Switch = False
    allow_realtime: Switch = False
    allow_storage_options: Switch = False
    allow_group_add: Switch = False
    allow_links: Switch = False
    allow_dns: Switch = False
    allow_extra_hosts: Switch = False
    allow_fixed_addresses: Switch = False
    allowed_engine_settings: Names = ()

    max_snapshots: Most = 0
    allowed_pools: Names = (ANY,)
    shared_volumes: VolumeNames = ()
    disk_roots: Roots = ()
    allowed_domain_networks: Names = (ANY,)
    display_addresses: Networks = LOOPBACK
    allow_display_passwords: Switch = False
    allow_host_devices: Switch = False
    allow_shared_folders: Switch = False
    allow_shared_memory: Switch = False
    allow_network_disks: Switch = False
    allow_device_disks: Switch = False
    allow_backing_stores: Switch = False
    allow_host_channels: Switch = False
    allow_bridges: Switch = False
    allow_network_scripts: Switch = False
    allow_network_filters: Switch = False
    allow_pinning: Switch = False
    allow_security_labels: Switch = False
    allow_disk_secrets: Switch = False
    allow_coredumps: Switch = False
    allow_direct_boot: Switch = False
    allowed_emulators: Names = ()
    allow_emulator_arguments: Switch = False

    @property
    def keeps_apart(self) -> bool:
        """Whether networks on which everybody's are, are denied."""
        return False

    def of_tenant(self) -> "TenantProfile":
        """Return the profile as it counts for a caller without access to all."""
        return TenantProfile.model_construct(**dict(self))

    def exceeding(self, ceiling: "Profile") -> list[str]:
        """Return the settings that this profile states and that go beyond a ceiling."""
        return [
            name
            for name, bound in _bounds()
            if name in self.model_fields_set
            and bound.exceeds(getattr(self, name), getattr(ceiling, name))
        ]

    def within(self, ceiling: "Profile") -> "Profile":
        """Return a profile that allows what both allow."""
        return Profile.model_construct(
            **{name: self._cut(name, bound, ceiling) for name, bound in _bounds()}
        )

    def _cut(self, name: str, bound: Bound, ceiling: "Profile") -> Any:
        most = getattr(ceiling, name)
        if bound.follows and name not in self.model_fields_set:
            return most
        return bound.cut(getattr(self, name), most)


class TenantProfile(Profile):
    """A profile as it counts for a caller without access to all."""

    @property
    def keeps_apart(self) -> bool:
        """Whether networks on which everybody's are, are denied."""
        return not self.allow_shared_networks


def _bounds() -> Iterator[tuple[str, Bound]]:
    """Yield the settings, each with the comparison of its values."""
    for name, field in Profile.model_fields.items():
        bounds: list[Any] = [each for each in field.metadata if hasattr(each, "exceeds")]
        yield name, bounds[-1]


ProfileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]

SHIPPED: Mapping[str, Profile] = MappingProxyType(
    {DEFAULT_PROFILE: Profile(), "desktop": Profile(allow_new_privileges=True)}
)
"""The profiles of a host that configures none; a profile of the same name takes the place."""


class Policy(Profile):
    """The host's policy: the ceiling of all profiles, and the profiles.

    A setting that a profile does not state has the default of `Profile`, as far as the ceiling
    allows that.

    Attributes:
        profiles: the configured profiles by their names.
    """

    # What the shipped profiles need.
    allow_new_privileges: Switch = True
    profiles: Mapping[ProfileName, Profile] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _within_the_ceiling(self) -> Self:
        beyond = [
            f"profiles.{profile}.{name}: goes beyond the ceiling; raise policy.{name} as well"
            for profile, settings in self.profiles.items()
            for name in settings.exceeding(self)
        ]
        if beyond:
            raise ValueError("; ".join(beyond))
        return self

    def effective(self) -> Mapping[str, Profile]:
        """Return the profiles by their names, each as the ceiling leaves it."""
        named = {**SHIPPED, **self.profiles}
        return MappingProxyType({name: each.within(self) for name, each in named.items()})
