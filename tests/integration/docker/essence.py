"""What two inspects of equal containers have in common."""

from typing import Any

Json = Any
_EMPTY: tuple[Json, ...] = (None, "", [], {}, 0, False)
# How mounts and shares of the CPU were asked for; what came of them is compared.
_FORMS = {
    *("Binds", "Mounts", "Tmpfs", "ContainerIDFile", "ConsoleSize", "PortBindings"),
    *("NanoCpus", "CpuQuota", "CpuPeriod", "MemorySwap", "NetworkMode", "RestartPolicy"),
    "Runtime",  # the default has a name, or none where no HostConfig was given
}
_IN_CONFIG = {
    *("Volumes", "Env", "Labels", "Hostname", "StdinOnce"),
    *("AttachStdin", "AttachStdout", "AttachStderr"),
}
_DEFAULT_NETWORKS = {"": "bridge", "default": "bridge"}


def essence(inspect: Json) -> Json:
    """Return an inspect without ids, times, names and what differs in form alone."""
    config, host = inspect["Config"], inspect["HostConfig"]
    short = inspect["Id"][:12]
    labels = config["Labels"] or {}
    shares = host["NetworkMode"].startswith("container:")  # the host name, too
    return {
        "image": inspect["Image"],
        "command": [inspect["Path"], *(inspect["Args"] or ())],
        "config": {
            **_filled(config, _IN_CONFIG),
            "Env": _environment(config["Env"] or ()),
            "Labels": {k: v for k, v in labels.items() if not k.startswith("proa.driver.")},
            "Hostname": "" if shares or config["Hostname"] == short else config["Hostname"],
        },
        "host": _filled({**host, "SecurityOpt": _security(host)}, _FORMS),
        "restarts": [
            host["RestartPolicy"]["Name"] or "no",
            host["RestartPolicy"]["MaximumRetryCount"],
        ],
        "cpus": host["NanoCpus"] / 1e9 or host["CpuQuota"] / (host["CpuPeriod"] or 100_000),
        "swap": host["MemorySwap"] or 2 * host["Memory"],
        "mode": _DEFAULT_NETWORKS.get(host["NetworkMode"], host["NetworkMode"]),
        "mounts": sorted(
            (_mount(one, host) for one in inspect["Mounts"] if one["Type"] != "tmpfs"), key=repr
        ),
        "ports": sorted(_ports(host["PortBindings"])),
        "tmpfs": _tmpfs(host),
        "networks": {
            name: _network(one, short)
            for name, one in inspect["NetworkSettings"]["Networks"].items()
        },
    }


def _security(host: Json) -> Json:
    """Return the security options without the one that says what holds without it."""
    return [each for each in host["SecurityOpt"] or () if each != "no-new-privileges=false"]


def differing(first: Json, second: Json) -> Json:
    """Return what two essences differ in, by its path."""
    if not isinstance(first, dict) or not isinstance(second, dict):
        return f"{first} != {second}"
    return {
        key: differing(first.get(key), second.get(key))
        for key in first.keys() | second.keys()
        if first.get(key) != second.get(key)
    }


def _filled(section: Json, but: set[str]) -> Json:
    return {key: value for key, value in section.items() if key not in but and value not in _EMPTY}


def _mount(point: Json, host: Json) -> Json:
    kept = {key: point.get(key) for key in ("Type", "Destination", "RW", "Source")}
    if point["Type"] == "volume":
        named = any(one.get("Source") == point["Name"] for one in host.get("Mounts") or ())
        named = named or any(one.startswith(f"{point['Name']}:") for one in host["Binds"] or ())
        kept["Source"] = point["Name"] if named else ""
    return kept


def _environment(lines: Json) -> Json:
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    return {**dict.fromkeys(line for line in lines if "=" not in line), **values}


def _ports(bindings: Json) -> Json:
    for key, bound in (bindings or {}).items():
        for one in bound or ():
            yield key, one["HostIp"], "" if one["HostPort"] == "0" else one["HostPort"]


def _tmpfs(host: Json) -> Json:
    found = dict.fromkeys(host.get("Tmpfs") or ())
    mounts = [one for one in host.get("Mounts") or () if one["Type"] == "tmpfs"]
    return sorted({**found, **{one["Target"]: None for one in mounts}})


def _network(endpoint: Json, short: str) -> Json:
    wish = endpoint.get("IPAMConfig") or {}
    return {
        "aliases": sorted(alias for alias in endpoint["Aliases"] or () if alias != short),
        "ipv4": wish.get("IPv4Address", ""),
        "ipv6": wish.get("IPv6Address", ""),
    }
