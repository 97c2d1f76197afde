"""The settings of a container that the contract cannot express.

What is known to be expressed is on a list. All else is told where it differs from the engine's
default, so that a setting of an engine that is newer than this list is told, too.
"""

from collections.abc import Callable, Iterator

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


def omitted(item: Value, image: Value, *, cgroupns: str) -> tuple[str, ...]:
    """Return the settings of an inspected container that its specification has no field for.

    Args:
        item: GET /containers/{id}/json.
        image: the configuration of its image; missing if the image is gone.
        cgroupns: the engine's default mode of cgroup namespaces; empty: not known.
    """
    return tuple(sorted({*_unexpressed(item, image, cgroupns), *_parts(item, image)}))


def _unexpressed(item: Value, image: Value, cgroupns: str) -> Iterator[str]:
    for section, expressed in _EXPRESSED.items():
        for key, value in item[section].entries():
            name = f"{section}.{key}"
            if key in expressed or name in _IN_PART:
                continue
            inherited = section == "Config" and value.raw == image[key].raw
            default = value.raw in _NOTHING or value.raw in _DEFAULTS.get(name, ())
            if not inherited and not default:
                yield name
    mode = item["HostConfig"]["CgroupnsMode"].text()
    if cgroupns and mode not in {"", cgroupns}:
        yield "HostConfig.CgroupnsMode"


def _parts(item: Value, image: Value) -> Iterator[str]:
    for name, omits in _IN_PART.items():
        section, _, key = name.partition(".")
        if omits(item[section][key], item, image):
            yield name
    mode = item["HostConfig"]["NetworkMode"].text()
    networks = item["NetworkSettings"]["Networks"]
    if mode not in {"none", "host"} and not mode.startswith("container:") and not networks:
        yield "NetworkSettings.Networks"  # taken off the one that it was made with
    for _, endpoint in networks.entries():
        for key in _ENDPOINT_FIELDS:
            if endpoint[key].raw not in _NOTHING:
                yield f"NetworkSettings.Networks.{key}"
        # Of a container that runs, it may be the engine's; Config has that of the first network.
        if endpoint["MacAddress"].text() and not endpoint["EndpointID"].text():
            yield "NetworkSettings.Networks.MacAddress"
        if endpoint["IPAMConfig"]["LinkLocalIPs"]:
            yield "NetworkSettings.Networks.IPAMConfig.LinkLocalIPs"


def _mounts(mounts: Value, _item: Value, _image: Value) -> bool:
    return any(
        mount["Type"].text() not in {"bind", "volume", "tmpfs"}
        or any(_says(each) for key, each in mount.entries() if key not in _MOUNT_FIELDS)
        or any(
            _says(each)
            for key, each in mount["TmpfsOptions"].entries()
            if key not in _EXPRESSED_TMPFS
        )
        for mount in mounts.each()
    )


def _says(options: Value) -> bool:
    """Return whether options of a mount differ from the default in anything."""
    if isinstance(options.raw, dict):
        return any(_says(each) for _, each in options.entries())
    return options.raw not in (*_NOTHING, "rprivate")


def _binds(binds: Value, _item: Value, _image: Value) -> bool:
    return any({*bind_of(bind)[2].split(",")} - {"", "rw", "ro"} for bind in binds.texts())


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
    return paths.raw == []


_Omits = Callable[[Value, Value, Value], bool]
# Settings that are expressed in part.
_IN_PART: dict[str, _Omits] = {
    "Config.ExposedPorts": _exposed,
    "Config.Healthcheck": _start_interval,
    "HostConfig.Binds": _binds,
    "HostConfig.ExtraHosts": _extra_hosts,
    "HostConfig.MaskedPaths": _unmasked,
    "HostConfig.Mounts": _mounts,
    "HostConfig.PortBindings": _port_bindings,
    "HostConfig.ReadonlyPaths": _unmasked,
    "HostConfig.Tmpfs": _tmpfs,
}
