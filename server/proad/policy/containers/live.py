"""The rules on a container that exists, whoever made it, by what its engine says of it.

Its specification is judged as one to create from. What the contract cannot express is allowed
only where it is known to be harmless, or where a setting allows it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

from proad.errors import Violation
from proad.model import NETWORK_OF, Container
from proad.policy.bounds import is_listed
from proad.policy.containers.binds import Neighbours
from proad.policy.containers.judgement import judge
from proad.policy.containers.mounts import judge_place, judge_source
from proad.policy.containers.networks import HOST, host_namespace, joined_namespace
from proad.policy.containers.ports import judge_published, may_publish_everywhere
from proad.policy.containers.surroundings import Surroundings
from proad.policy.profile import Profile

_Rule = Callable[[str, object, Profile], Iterator[Violation]]
_SHARED = frozenset({"shared", "rshared", "slave", "rslave"})
# Without profiles of AppArmor, seccomp and SELinux a privileged container is anyway: the engine
# says so of it.
_OF_PRIVILEGED = frozenset({"HostConfig.SecurityOpt"})
_ITS_OWN = frozenset({"", "none", "private", "shareable"})


def judge_live(
    container: Container | None, profile: Profile, around: Surroundings = Surroundings()
) -> list[Violation]:
    """Return what a profile would not allow of a container that exists.

    Args:
        container: its FULL view.
        profile: the caller's profile.
        around: what the container refers to.

    Returns:
        The violations; their fields are paths in the resource.
    """
    if container is None or container.spec is None:
        return [_unknown("container", "what it was made from cannot be read")]
    spec = container.spec
    found = [_in_spec(each) for each in judge(spec, profile, around)]
    found += judge_published(container.ports, profile, "container.ports")
    # What the image gives is in no specification.
    if spec.working_dir is None and container.working_dir:
        found += judge_place("container.working_dir", container.working_dir, profile)
    beside = Neighbours.of(container.mounts, around)
    known = frozenset(spec.mounts)
    for index, mount in enumerate(container.mounts):
        field = f"container.mounts[{index}]"
        if mount not in known:
            found += judge_place(f"{field}.target", mount.target, profile)
            found += judge_source(field, mount, beside, profile, around)
        if (mount.bind, mount.volume, mount.tmpfs) == (None, None, None):
            found += _unlisted("HostConfig.Mounts.Type", mount.target, profile)
    omissions = container.omissions
    for name, values in omissions.items():
        if name in _OF_PRIVILEGED and "HostConfig.Privileged" in omissions:
            continue
        for value in values:
            found += _RULES.get(name, _unlisted)(name, value, profile)
    return list(dict.fromkeys(found))


def _in_spec(violation: Violation) -> Violation:
    return replace(violation, field=f"container.spec.{violation.field}")


def _violation(name: str, rule: str, setting: str, message: str) -> Violation:
    return Violation(
        field="container.spec_omits", rule=rule, setting=setting, message=f"{name}: {message}"
    )


def _unknown(field: str, message: str) -> Violation:
    return Violation(field=field, rule="unknown setting", message=message)


def _harmless(_: str, __: object, ___: Profile) -> Iterator[Violation]:
    yield from ()


def _switch(rule: str, setting: str, message: str) -> _Rule:
    """Return the rule on a setting that one switch of a profile allows."""

    def judge_setting(name: str, _: object, profile: Profile) -> Iterator[Violation]:
        if not getattr(profile, setting):
            yield _violation(name, rule, setting, message)

    return judge_setting


def _listed(rule: str, setting: str) -> _Rule:
    """Return the rule on a setting whose value a list of a profile must have."""

    def judge_setting(name: str, value: object, profile: Profile) -> Iterator[Violation]:
        if not is_listed(str(value), getattr(profile, setting)):
            yield _violation(name, rule, setting, f"{str(value)!r} is not one of those allowed")

    return judge_setting


def _namespace(namespace: str) -> _Rule:
    def judge_setting(name: str, value: object, profile: Profile) -> Iterator[Violation]:
        if value == HOST:
            yield from host_namespace("container.spec_omits", namespace, profile)
        elif isinstance(value, str) and value.startswith(NETWORK_OF):
            yield from joined_namespace("container.spec_omits", value, profile)
        elif value not in _ITS_OWN:
            yield from _unlisted(name, value, profile)

    return judge_setting


def _unlisted(name: str, _: object, profile: Profile) -> Iterator[Violation]:
    """Return the violation of a setting that no other rule knows."""
    if not is_listed(name, profile.allowed_engine_settings):
        yield _violation(
            name,
            "setting not listed",
            "allowed_engine_settings",
            "the contract has no field for this setting of the engine",
        )


def _propagation(name: str, value: object, profile: Profile) -> Iterator[Violation]:
    words = value.replace(":", ",").split(",") if isinstance(value, str) else ()
    if not _SHARED.isdisjoint(words):
        yield from _PROPAGATES(name, value, profile)


def _memory(name: str, value: object, profile: Profile) -> Iterator[Violation]:
    for options in value.values() if isinstance(value, dict) else ():
        yield from _propagation(name, options, profile)


def _driver(name: str, value: object, profile: Profile) -> Iterator[Violation]:
    config = value if isinstance(value, dict) else {"Options": value}
    if driver := config.get("Name"):
        yield from _VOLUME_DRIVER(name, driver, profile)
    if config.get("Options"):
        yield from _VOLUME_OPTIONS(name, value, profile)


def _published(name: str, _: object, profile: Profile) -> Iterator[Violation]:
    if not may_publish_everywhere(profile):
        yield _violation(
            name, "address not listed", "publish_addresses", "it publishes on all addresses"
        )


_PROPAGATES = _switch(
    "mount propagation", "allow_mount_propagation", "the host and it would see each other's mounts"
)
_VOLUME_DRIVER = _listed("volume driver not listed", "allowed_volume_drivers")
_VOLUME_OPTIONS = _switch(
    "volume with options", "allow_volume_options", "options may show any path of the host"
)
_UNMASKED = _switch(
    "unmasked path", "allow_unmasked_paths", "parts of /proc and /sys are not masked or read-only"
)
_FIXED = _switch("fixed address", "allow_fixed_addresses", "the engine did not choose it")
_REAL_TIME = _switch("real-time scheduling", "allow_realtime", "it may run before others")
_OOM = _switch("memory shortage", "allow_oom_settings", "others would be killed before it")
_LINKS = _switch("links", "allow_links", "it is linked to another container")

_RULES: Mapping[str, _Rule] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                # What is judged where the specification has it, or changes nothing but itself.
                *("Config.ExposedPorts", "Config.Healthcheck", "Config.OnBuild", "Config.Shell"),
                *("Config.ArgsEscaped", "Config.StdinOnce", "Config.NetworkDisabled"),
                *("HostConfig.PortBindings", "HostConfig.ExtraHosts", "NetworkSettings.Networks"),
                *("NetworkSettings.Networks.GwPriority", "HostConfig.Isolation"),
                # Limits of its own share.
                *("HostConfig.CpuPeriod", "HostConfig.CpusetMems", "HostConfig.BlkioWeight"),
                *("HostConfig.MemorySwappiness", "HostConfig.KernelMemory"),
                *("HostConfig.KernelMemoryTCP", "HostConfig.Mounts.VolumeOptions.NoCopy"),
                *("HostConfig.Mounts.VolumeOptions.Labels", "HostConfig.Mounts.Consistency"),
                *("HostConfig.Mounts.BindOptions.NonRecursive", "HostConfig.Binds.nocopy"),
                *("HostConfig.Binds.private", "HostConfig.Binds.rprivate"),
                *("HostConfig.Binds.consistent", "HostConfig.Binds.cached"),
                *("HostConfig.Binds.delegated",),
            ),
            _harmless,
        ),
        "HostConfig.Privileged": _switch("privileged", "allow_privileged", "it is privileged"),
        "HostConfig.SecurityOpt": _switch(
            "unconfined",
            "allow_unconfined",
            "it has other profiles of AppArmor, seccomp or SELinux",
        ),
        "HostConfig.MaskedPaths": _UNMASKED,
        "HostConfig.ReadonlyPaths": _UNMASKED,
        "HostConfig.PidMode": _namespace("pid"),
        "HostConfig.IpcMode": _namespace("ipc"),
        "HostConfig.UTSMode": _namespace("uts"),
        "HostConfig.UsernsMode": _namespace("user"),
        "HostConfig.CgroupnsMode": _namespace("cgroup"),
        "HostConfig.Cgroup": _namespace("cgroup"),
        "HostConfig.VolumesFrom": _switch(
            "mounts of another container", "allow_volumes_from", "it has another container's mounts"
        ),
        "HostConfig.VolumeDriver": _VOLUME_DRIVER,
        "HostConfig.Mounts.VolumeOptions.DriverConfig": _driver,
        "HostConfig.Mounts.BindOptions.Propagation": _propagation,
        **dict.fromkeys((f"HostConfig.Binds.{word}" for word in _SHARED), _PROPAGATES),
        "HostConfig.Tmpfs": _memory,
        "HostConfig.DeviceRequests": _switch(
            "device requests", "allow_device_requests", "it asks for devices by their driver"
        ),
        "HostConfig.DeviceCgroupRules": _switch(
            "device rules", "allow_device_rules", "it has rules of its own on devices"
        ),
        "HostConfig.Runtime": _listed("runtime not listed", "allowed_runtimes"),
        "HostConfig.CgroupParent": _listed("cgroup parent not listed", "allowed_cgroup_parents"),
        "HostConfig.OomScoreAdj": _OOM,
        "HostConfig.OomKillDisable": _OOM,
        "HostConfig.CpuRealtimePeriod": _REAL_TIME,
        "HostConfig.CpuRealtimeRuntime": _REAL_TIME,
        "HostConfig.StorageOpt": _switch(
            "storage options", "allow_storage_options", "it has options of the storage driver"
        ),
        "HostConfig.Links": _LINKS,
        "NetworkSettings.Networks.Links": _LINKS,
        "HostConfig.DnsOptions": _switch("name servers", "allow_dns", "it has options of its own"),
        "HostConfig.PublishAllPorts": _published,
        "Config.MacAddress": _FIXED,
        "NetworkSettings.Networks.MacAddress": _FIXED,
        "NetworkSettings.Networks.IPAMConfig.LinkLocalIPs": _FIXED,
    }
)
"""The rules on settings that the contract has no field for."""
