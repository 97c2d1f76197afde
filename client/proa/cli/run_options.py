"""Parsers for the options of `proa run`, in the notation of `docker run`."""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import typer
from google.protobuf.duration_pb2 import Duration

from proa import v1
from proa.cli.text import MOST, duration, size

_PROTOCOLS = {
    "tcp": v1.PORT_PROTOCOL_TCP,
    "udp": v1.PORT_PROTOCOL_UDP,
    "sctp": v1.PORT_PROTOCOL_SCTP,
}
_DISPLAYS = {
    "vnc": v1.DISPLAY_PROTOCOL_VNC,
    "http": v1.DISPLAY_PROTOCOL_HTTP,
    "rdp": v1.DISPLAY_PROTOCOL_RDP,
}
_RESTARTS = {
    "no": v1.RESTART_POLICY_MODE_NO,
    "on-failure": v1.RESTART_POLICY_MODE_ON_FAILURE,
    "always": v1.RESTART_POLICY_MODE_ALWAYS,
    "unless-stopped": v1.RESTART_POLICY_MODE_UNLESS_STOPPED,
}
_PORT = re.compile(
    r"(?:(?:\[(?P<ip6>[^\]]+)\]|(?P<ip>[0-9.]+)):(?=[^:]*:))?(?:(?P<host>\d*):)?(?P<inner>\d+)"
    r"(?:/(?P<protocol>\w+))?"
)
_FLAGS = {"true": True, "1": True, "": True, "false": False, "0": False}


def no_privileged(given: bool) -> None:  # noqa: FBT001 - typer's signature
    """Refuse an option of `docker run` for which nothing else would be a good guess."""
    if given:
        raise typer.BadParameter(
            "no call makes privileged containers; give one what it needs with --cap-add and "
            "--device, as far as the daemon's policy allows"
        )


def port(text: str) -> v1.PublishedPort:
    """Parse [[IP:][HOST_PORT]:]PORT[/PROTOCOL]."""
    match = _PORT.fullmatch(text)
    protocol = _PROTOCOLS.get(match["protocol"] or "tcp") if match else None
    if match is None or protocol is None:
        raise typer.BadParameter(
            f"{text!r} is no port; write it like 8080:80 or 127.0.0.1:53:53/udp"
        )
    return v1.PublishedPort(
        container_port=int(match["inner"]),
        host_port=int(match["host"]) if match["host"] else None,
        host_ip=match["ip6"] or match["ip"] or "",
        protocol=protocol,
    )


def volume(text: str) -> v1.Mount:
    """Parse [SOURCE:]TARGET[:ro|rw]; a source with a slash is a path of the host."""
    parts = text.split(":")
    read_only = len(parts) > 1 and parts[-1] == "ro"
    if len(parts) > 1 and parts[-1] in {"ro", "rw"}:
        parts.pop()
    if len(parts) > 2 or not all(parts):  # noqa: PLR2004 - source and target
        raise typer.BadParameter(
            f"{text!r} is no mount; write it like /data:/data:ro or name:/data"
        )
    source = parts[0] if len(parts) > 1 else ""
    mount = v1.Mount(target=parts[-1], read_only=read_only)
    if source.startswith("/"):
        mount.bind.source = source
    elif "/" in source:
        raise typer.BadParameter(f"{source!r} is a path of the daemon's host; begin it with /")
    else:
        mount.volume.name = source
    return mount


def mount(text: str) -> v1.Mount:
    """Parse type=bind|volume|tmpfs,source=…,target=…[,readonly][,tmpfs-size=…][,tmpfs-mode=…]."""
    fields = settings(text)
    kind = fields.pop("type", "volume")
    source = fields.pop("source", fields.pop("src", ""))
    target = fields.pop("target", fields.pop("dst", fields.pop("destination", "")))
    read_only = _flag(fields.pop("readonly", fields.pop("ro", "false")))
    made = v1.Mount(target=target, read_only=read_only)
    if kind == "bind":
        made.bind.source = source
    elif kind == "volume":
        made.volume.name = source
    elif kind == "tmpfs":
        made.tmpfs.CopyFrom(_memory(fields, "tmpfs-size", "tmpfs-mode"))
    else:
        raise typer.BadParameter(f"{kind!r} is none of bind, volume, tmpfs")
    reject_rest(fields)
    return made


def _memory(fields: dict[str, str], size_name: str, mode_name: str) -> v1.TmpfsMount:
    bytes_, mode = fields.pop(size_name, None), fields.pop(mode_name, None)
    return v1.TmpfsMount(
        size_bytes=None if bytes_ is None else size(bytes_),
        mode=None if mode is None else _mode(mode),
    )


def tmpfs(text: str) -> v1.Mount:
    """Parse TARGET[:size=64m,mode=1777]."""
    target, _, rest = text.partition(":")
    fields = settings(rest) if rest else {}
    made = v1.Mount(target=target, read_only=_flag(fields.pop("ro", "false")))
    made.tmpfs.CopyFrom(_memory(fields, "size", "mode"))
    reject_rest(fields)
    return made


def display(text: str) -> v1.ContainerDisplay:
    """Parse PROTOCOL:PORT."""
    word, _, number = text.partition(":")
    protocol = _DISPLAYS.get(word.lower())
    if protocol is None or not number.isascii() or not number.isdigit():
        known = ", ".join(_DISPLAYS)
        raise typer.BadParameter(
            f"{text!r} is no display; write it like vnc:5900, with one of {known}"
        )
    return v1.ContainerDisplay(protocol=protocol, port=min(int(number), MOST))


def ulimit(text: str) -> v1.Ulimit:
    """Parse NAME=SOFT[:HARD]."""
    match = re.fullmatch(r"(\w+)=(-?\d+)(?::(-?\d+))?", text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is no limit; write it like nofile=1024:2048")
    soft = int(match[2])
    return v1.Ulimit(name=match[1], soft=soft, hard=int(match[3]) if match[3] else soft)


def device(text: str) -> v1.Device:
    """Parse PATH[:CONTAINER_PATH[:rwm]]."""
    parts = text.split(":")
    if len(parts) > 3 or not parts[0]:  # noqa: PLR2004 - path, path inside, permissions
        raise typer.BadParameter(f"{text!r} is no device; write it like /dev/dri:/dev/dri:rw")
    host, inner, permissions = [*parts, "", ""][:3]
    if inner and not inner.startswith("/") and not permissions:
        inner, permissions = "", inner
    return v1.Device(host_path=host, container_path=inner, permissions=permissions)


def restart(text: str) -> v1.RestartPolicy:
    """Parse no, always, unless-stopped or on-failure[:TIMES]."""
    name, colon, times = text.partition(":")
    if name not in _RESTARTS or (colon and (name != "on-failure" or not times.isdecimal())):
        raise typer.BadParameter(f"{text!r} is none of {', '.join(_RESTARTS)}, on-failure:TIMES")
    return v1.RestartPolicy(mode=_RESTARTS[name], max_retries=int(times or 0))


def network(text: str) -> v1.NetworkAttachment:
    """Parse NAME, or name=NAME[,alias=…][,ip=…][,ip6=…]."""
    if "=" not in text:
        return v1.NetworkAttachment(network=text)
    aliases = [part.partition("=")[2] for part in text.split(",") if part.startswith("alias=")]
    fields = settings(",".join(p for p in text.split(",") if not p.startswith("alias=")))
    made = v1.NetworkAttachment(
        network=fields.pop("name", ""),
        aliases=aliases,
        ipv4_address=fields.pop("ip", ""),
        ipv6_address=fields.pop("ip6", ""),
    )
    reject_rest(fields)
    return made


def environment(texts: list[str] | None) -> Mapping[str, str]:
    """Parse NAME=VALUE, or NAME alone for the value in our own environment."""
    found = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if equals:
            found[name] = value
        elif name in os.environ:
            found[name] = os.environ[name]
    return found


def env_secrets(texts: list[str] | None, *, kept: bool) -> Mapping[str, v1.EnvSecret]:
    """Parse NAME=@FILE, NAME=@- for standard input, or NAME alone.

    Of NAME alone, the container that has it keeps it, or gives it, if `kept`; otherwise the value
    is that in our own environment. A value itself would show in lists of processes.
    """
    found = {}
    for text in texts or ():
        name, equals, source = text.partition("=")
        if equals and not source.startswith("@"):
            raise typer.BadParameter(
                f"others could read the value of {name} in a list of processes; write {name}=@FILE, "
                f"or {name}=@- for standard input"
            )
        if not equals and kept:
            found[name] = v1.EnvSecret(redacted=True)
        elif not equals and name not in os.environ:
            raise typer.BadParameter(f"there is no variable {name} here; write {name}=@FILE")
        else:
            value = _content(source[1:]) if equals else os.environ[name]
            found[name] = v1.EnvSecret(value=value)
    return found


def _content(path: str) -> str:
    """Return what is in a file, or in standard input for "-", without its last line break."""
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{path!r} cannot be read: {error}") from None
    return text.removesuffix("\n")


def hosts(texts: list[str] | None) -> Mapping[str, str]:
    """Parse NAME:ADDRESS, additional lines of /etc/hosts."""
    found = {}
    for text in texts or ():
        name, _, address = text.partition(":")
        if not name or not address:
            raise typer.BadParameter(f"{text!r} is no host; write it like db:192.0.2.1")
        found[name] = address
    return found


def proto_duration(text: str) -> Duration:
    """Parse a duration into a message."""
    made = Duration()
    made.FromTimedelta(duration(text))
    return made


def settings(text: str) -> dict[str, str]:
    """Parse settings such as "a=1,b=2,flag"."""
    parts = (part.partition("=") for part in text.split(",") if part)
    return {name.strip(): value for name, _, value in parts}


def reject_rest(fields: dict[str, str]) -> None:
    """Raise BadParameter for settings that were not consumed."""
    if fields:
        raise typer.BadParameter(f"unknown: {', '.join(fields)}")


def _flag(text: str) -> bool:
    if text not in _FLAGS:
        raise typer.BadParameter(f"{text!r} is neither true nor false")
    return _FLAGS[text]


def _mode(text: str) -> int:
    try:
        return int(text, 8)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no file mode; write it like 1777") from None
