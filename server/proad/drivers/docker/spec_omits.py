"""The settings of a container that the contract cannot express.

What is known to be expressed is on a list. All else is told where it differs from the engine's
default, so that a setting of an engine that is newer than this list is told, too.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import chain

from proad.drivers.docker.security_options import has_others
from proad.drivers.docker.spec_view import bind_of
from proad.drivers.tolerant import Value

_EXPRESSED = {
    "Config": frozenset(
        {
            *("Hostname", "Domainname", "User", "Tty", "OpenStdin", "Env", "Cmd", "Image"),
            *("Volumes", "WorkingDir", "Entrypoint", "Labels", "StopSignal", "StopTimeout"),
            # Streams that the one who creates a container is attached to.
            *("AttachStdin", "AttachStdout", "AttachStderr"),
        }
    ),
    "HostConfig": frozenset(
        {
            *("LogConfig", "NetworkMode", "RestartPolicy", "AutoRemove", "CapAdd", "CapDrop"),
            *("Dns", "DnsSearch", "GroupAdd", "ReadonlyRootfs", "Sysctls", "ShmSize", "Init"),
            *("Ulimits", "Devices", "Memory", "MemoryReservation", "MemorySwap", "NanoCpus"),
            *("CpuQuota", "CpusetCpus", "CpuShares", "PidsLimit"),
            "CgroupnsMode",  # compared with the engine's own default
            # Of Docker's own command line: a file, and the size of its terminal.
            *("ContainerIDFile", "ConsoleSize"),
        }
    ),
}
_NOTHING: tuple[object, ...] = (None, False, 0, "", "default", [], {})
# What the engine has where nothing else was asked for.
_DEFAULTS: dict[str, tuple[object, ...]] = {
    "HostConfig.Runtime": ("runc", "io.containerd.runc.v2"),
    "HostConfig.IpcMode": ("private",),
    "HostConfig.CpuPeriod": (100_000,),
    "HostConfig.MemorySwappiness": (-1,),
    "HostConfig.Isolation": ("process",),
}
_MOUNT_FIELDS = frozenset({"Type", "Source", "Target", "ReadOnly", "TmpfsOptions"})
_EXPRESSED_TMPFS = frozenset({"SizeBytes", "Mode"})
_TMPFS_WORDS = frozenset({"ro", "rw", "size", "mode", ""})
_ENDPOINT_FIELDS = ("Links", "DriverOpts", "GwPriority")
# What every engine masks and protects, unless a create says otherwise.
_MASKED = frozenset(
    {
        *("/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats"),
        *("/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi"),
        "/sys/firmware",
    }
)
_READ_ONLY = frozenset({"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"})


def omitted(item: Value, image: Value, *, cgroupns: str) -> Mapping[str, tuple[object, ...]]:
    """Return the settings of an inspected container that its specification has no field for.

    Args:
        item: GET /containers/{id}/json.
        image: the configuration of its image; missing if the image is gone.
        cgroupns: the engine's default mode of cgroup namespaces; empty: not known.

    Returns:
        The values as the engine has them, by the names of the settings in order; a setting of
        mounts and networks may have several.
    """
    found: dict[str, tuple[object, ...]] = {}
    for name, value in chain(_unexpressed(item, image, cgroupns), _parts(item, image)):
        found[name] = (*found.get(name, ()), value)
    return dict(sorted(found.items()))


_Found = Iterator[tuple[str, object]]


def _unexpressed(item: Value, image: Value, cgroupns: str) -> _Found:
    for section, expressed in _EXPRESSED.items():
        for key, value in item[section].entries():
            name = f"{section}.{key}"
            if key in expressed or name in _IN_PART or name in _IN_PIECES:
                continue
            inherited = section == "Config" and value.raw == image[key].raw
            default = value.raw in _NOTHING or value.raw in _DEFAULTS.get(name, ())
            if not inherited and not default:
                yield name, value.raw
    mode = item["HostConfig"]["CgroupnsMode"].text()
    if cgroupns and mode not in {"", cgroupns}:
        yield "HostConfig.CgroupnsMode", mode


def _parts(item: Value, image: Value) -> _Found:
    for name, omits in _IN_PART.items():
        section, _, key = name.partition(".")
        if omits(value := item[section][key], item, image):
            yield name, value.raw
    yield from _mounts(item["HostConfig"]["Mounts"])
    yield from _binds(item["HostConfig"]["Binds"])
    mode = item["HostConfig"]["NetworkMode"].text()
    networks = item["NetworkSettings"]["Networks"]
    if mode not in {"none", "host"} and not mode.startswith("container:") and not networks:
        yield "NetworkSettings.Networks", {}  # taken off the one that it was made with
    for _, endpoint in networks.entries():
        for key in _ENDPOINT_FIELDS:
            if (value := endpoint[key]).raw not in _NOTHING:
                yield f"NetworkSettings.Networks.{key}", value.raw
        # Of a container that runs, it may be the engine's; Config has that of the first network.
        if (address := endpoint["MacAddress"].text()) and not endpoint["EndpointID"].text():
            yield "NetworkSettings.Networks.MacAddress", address
        if local := endpoint["IPAMConfig"]["LinkLocalIPs"]:
            yield "NetworkSettings.Networks.IPAMConfig.LinkLocalIPs", local.raw


def _mounts(mounts: Value) -> _Found:
    """Return what is said of mounts beyond the contract, such as "HostConfig.Mounts.BindOptions"."""
    for mount in mounts.each():
        if mount["Type"].text() not in {"bind", "volume", "tmpfs"}:
            yield "HostConfig.Mounts.Type", mount["Type"].raw
        for key, options in mount.entries():
            if key not in _MOUNT_FIELDS and _says(options):
                yield from _inner(f"HostConfig.Mounts.{key}", options)
        for key, option in mount["TmpfsOptions"].entries():
            if key not in _EXPRESSED_TMPFS and _says(option):
                yield f"HostConfig.Mounts.TmpfsOptions.{key}", option.raw


def _inner(name: str, options: Value) -> _Found:
    """Return the options of one sort, each by its own name."""
    if not isinstance(options.raw, dict):
        yield name, options.raw
    for key, option in options.entries() if isinstance(options.raw, dict) else ():
        if _says(option):
            yield f"{name}.{key}", option.raw


def _says(options: Value) -> bool:
    """Return whether options of a mount differ from the default in anything."""
    if isinstance(options.raw, dict):
        return any(_says(each) for _, each in options.entries())
    return options.raw not in (*_NOTHING, "rprivate")


def _binds(binds: Value) -> _Found:
    for bind in binds.texts():
        for option in {*bind_of(bind)[2].split(",")} - {"", "rw", "ro"}:
            yield f"HostConfig.Binds.{option}", bind


def _tmpfs(mounts: Value, _item: Value, _image: Value) -> bool:
    return any(
        word.partition("=")[0] not in _TMPFS_WORDS or word.endswith("%")
        for _, options in mounts.entries()
        for word in options.text().split(",")
    )


def _port_bindings(ports: Value, _item: Value, _image: Value) -> bool:
    return any(
        "-" in binding["HostPort"].text()
        for _, bindings in ports.entries()
        for binding in bindings.each()
    )


def _exposed(ports: Value, item: Value, image: Value) -> bool:
    bindings = item["HostConfig"]["PortBindings"].entries()
    known = {key for key, bound in bindings if bound}
    known |= {key for key, _ in image["ExposedPorts"].entries()}
    return any(key not in known for key, _ in ports.entries())


def _extra_hosts(hosts: Value, _item: Value, _image: Value) -> bool:
    names = [line.partition(":")[0] for line in hosts.texts()]
    return len(set(names)) != len(names)


def _start_interval(check: Value, _item: Value, image: Value) -> bool:
    had = image["Healthcheck"]["StartInterval"].raw
    return check["StartInterval"].raw not in (*_NOTHING, had)


def _unmasked(paths: Value, _item: Value, _image: Value) -> bool:
    # The engine fills in its own; privileged containers have null.
    return paths.raw is not None and not {*paths.texts()} >= _MASKED


def _writable(paths: Value, _item: Value, _image: Value) -> bool:
    return paths.raw is not None and not {*paths.texts()} >= _READ_ONLY


def _security(options: Value, _item: Value, _image: Value) -> bool:
    return has_others(options)


# Settings of which each part has a name of its own.
_IN_PIECES = frozenset({"HostConfig.Binds", "HostConfig.Mounts"})
_Omits = Callable[[Value, Value, Value], bool]
# Settings that are expressed in part.
_IN_PART: dict[str, _Omits] = {
    "Config.ExposedPorts": _exposed,
    "Config.Healthcheck": _start_interval,
    "HostConfig.ExtraHosts": _extra_hosts,
    "HostConfig.MaskedPaths": _unmasked,
    "HostConfig.PortBindings": _port_bindings,
    "HostConfig.ReadonlyPaths": _writable,
    "HostConfig.SecurityOpt": _security,
    "HostConfig.Tmpfs": _tmpfs,
}
