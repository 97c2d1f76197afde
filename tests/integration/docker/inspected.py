"""Compute the expected views of a container from `docker inspect`, without the driver's code."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from integration.docker.odd import TMPFS

Json = Any

_ORIGINAL = re.compile(r"(\.\d{6})\d+")  # Python reads no nanoseconds


def expected(inspect: Json) -> dict[str, Any]:
    """Return the FULL view in the form of `dataclasses.asdict`, without the daemon's own fields."""
    config, host, state = inspect["Config"], inspect["HostConfig"], inspect["State"]
    word = state["Status"]
    ended = word in {"exited", "restarting", "dead"}
    return {
        "id": inspect["Id"],
        "kind": "CONTAINER",
        "name": inspect["Name"].strip("/"),
        "state": {
            "created": "STOPPED",
            "exited": "STOPPED",
            "running": "RUNNING",
            "paused": "PAUSED",
            "restarting": "STARTING",
        }[word],
        "state_detail": {
            "reason": _reason(word, state["ExitCode"], oom_killed=state["OOMKilled"]),
            "message": state["Error"],
            "exit_code": state["ExitCode"] if ended else None,
            "oom_killed": state["OOMKilled"],
            "start_time": _time(state["StartedAt"]),
            "finish_time": _time(state["FinishedAt"]),
            "last_lines": (),  # which the core adds
        },
        "labels": {
            k: v for k, v in (config["Labels"] or {}).items() if not k.startswith("proa.driver.")
        },
        "create_time": datetime.fromisoformat(f"{inspect['Created'][:19]}Z"),
        "lifetime": "TRANSIENT" if host["AutoRemove"] else "PERSISTENT",
        "container": {
            "image": config["Image"],
            "image_id": inspect["Image"],
            "command": (inspect["Path"], *(inspect["Args"] or ())),
            "ports": _published(inspect["NetworkSettings"]["Ports"]),
            "mounts": _mounts(inspect),
            "networks": _networks(inspect),
            "env": _environment(config["Env"] or ()),
            "working_dir": config["WorkingDir"],
            "user": config["User"],
            "hostname": config["Hostname"],
            "restart_count": inspect["RestartCount"],
            "health": _health(state),
            "pid": state["Pid"],
            "stop_signal": config.get("StopSignal") or "",
            "privileged": host["Privileged"],
            "carried_volumes": (),  # of a container that was recreated alone
        },
    }


def shortened(full: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a FULL view that the contract defines for a SUMMARY."""
    detail, container = full["state_detail"], full["container"]
    killed = full["state"] == "STOPPED" and detail["exit_code"] == 137
    return {
        **full,
        "state_detail": {
            "reason": None if killed else detail["reason"],
            "message": "",
            "exit_code": None if full["state"] == "FAILED" else detail["exit_code"],
            "oom_killed": False,
            "start_time": None,
            "finish_time": None,
            "last_lines": (),
        },
        "container": {
            **dict.fromkeys(container),
            "image": container["image"],
            "image_id": container["image_id"],
            "ports": container["ports"],
            "mounts": [mount for mount in container["mounts"] if mount["tmpfs"] is None],
            "networks": [{**network, "aliases": ()} for network in container["networks"]],
        },
    }


def steady(inspect: Json) -> Json:
    """Return an inspect without the values that change with time."""
    state = dict(inspect["State"])
    if state.get("Health"):
        state["Health"] = {"Status": state["Health"]["Status"]}
    return {**inspect, "State": state}


def _time(text: str) -> datetime | None:
    time = datetime.fromisoformat(_ORIGINAL.sub(r"\1", text)).astimezone(UTC)
    return None if time.year == 1 else time


def _reason(word: str, code: int, *, oom_killed: bool) -> str | None:
    words = {"created": "NEVER_STARTED", "paused": "USER", "restarting": "RESTARTING"}
    if word != "exited":
        return words.get(word)
    if code == 137:
        return "OOM_KILLED" if oom_killed else "KILLED"
    return "ERROR" if code else "COMPLETED"


def _health(state: Json) -> str | None:
    status = (state.get("Health") or {}).get("Status", "none")
    return None if status == "none" else str(status).upper()


def _port(key: str, binding: Json, number: int | None) -> Json:
    inner, protocol = key.split("/")
    return {
        "container_port": int(inner),
        "host_port": number,
        "host_ip": binding["HostIp"],
        "protocol": protocol.upper(),
    }


def _published(ports: Json) -> list[Json]:
    found = [
        _port(key, binding, int(binding["HostPort"]))
        for key, bindings in (ports or {}).items()
        for binding in bindings or ()
    ]
    both = [one for one in found if {**one, "host_ip": "0.0.0.0"} in found]
    everywhere = [one for one in both if {**one, "host_ip": "::"} in found]
    rest = [one for one in found if one not in everywhere]
    return [*rest, *({**one, "host_ip": ""} for one in everywhere if one["host_ip"] == "::")]


def _mounts(inspect: Json) -> list[Json]:
    host = inspect["HostConfig"]
    kinds: dict[str, Json] = {
        "bind": lambda point: {"bind": {"source": point["Source"]}},
        "volume": lambda point: {"volume": {"name": point["Name"]}},
    }
    found = [
        _mount(point["Destination"], read_only=not point["RW"], **kinds[point["Type"]](point))
        for point in inspect["Mounts"]
        if point["Type"] != "tmpfs"
    ]
    for wish in host.get("Mounts") or ():
        if wish["Type"] == "tmpfs":
            options = wish.get("TmpfsOptions") or {}
            memory = {
                "size_bytes": options.get("SizeBytes", 0),
                "mode": options.get("Mode") or None,
            }
            found.append(
                _mount(wish["Target"], read_only=wish.get("ReadOnly", False), tmpfs=memory)
            )
    for target, options in (host.get("Tmpfs") or {}).items():
        size, mode, read_only = TMPFS[options]
        found.append(_mount(target, read_only=read_only, tmpfs={"size_bytes": size, "mode": mode}))
    return found


def _mount(target: str, *, read_only: bool, **source: Json) -> Json:
    return {
        **dict.fromkeys(("bind", "volume", "tmpfs")),
        "target": target,
        "read_only": read_only,
        **source,
    }


def _networks(inspect: Json) -> list[Json]:
    mode = inspect["HostConfig"]["NetworkMode"]
    if mode.startswith("container:"):
        return [_network(mode, {}, ())]
    short = inspect["Id"][:12]
    return [
        _network(name, endpoint, [one for one in endpoint["Aliases"] or () if one != short])
        for name, endpoint in inspect["NetworkSettings"]["Networks"].items()
    ]


def _network(name: str, endpoint: Json, aliases: Any) -> Json:
    wish = endpoint.get("IPAMConfig") or {}
    return {
        "network": name,
        "aliases": tuple(aliases),
        "ipv4_address": endpoint.get("IPAddress") or wish.get("IPv4Address", ""),
        "ipv6_address": endpoint.get("GlobalIPv6Address") or wish.get("IPv6Address", ""),
        "mac_address": endpoint.get("MacAddress", ""),
    }


def _environment(lines: Any) -> dict[str, str]:
    return dict(line.split("=", 1) for line in lines if "=" in line)
