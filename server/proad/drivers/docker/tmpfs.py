"""The tmpfs mounts of a container."""

import re
from collections.abc import Iterable

from proad.drivers.tolerant import INT32, MOST, Value
from proad.model import Mount, TmpfsMount

# As the kernel reads a size: https://docs.kernel.org/filesystems/tmpfs.html
_SIZE = re.compile(r"(\d{1,19})([kmgtpe]?)", re.ASCII | re.IGNORECASE)
_MODE = re.compile(r"[0-7]{1,5}")
_POWERS = {unit: 10 * power for power, unit in enumerate(("", *"kmgtpe"))}


def in_memory(host: Value, points: Value) -> Iterable[Mount]:
    """Return the mounts that are memory, from a HostConfig and the mount points beside it."""
    # Among the mount points of some engine versions, and without its options there.
    found = {
        target: Mount(target=target, tmpfs=TmpfsMount(size_bytes=0))
        for mount in points.each()
        if mount["Type"].text() == "tmpfs" and (target := mount["Destination"].text())
    }
    for mount in host["Mounts"].each():
        if mount["Type"].text() == "tmpfs" and (target := mount["Target"].text()):
            found[target] = _of_mount(mount, target)
    for target, options in host["Tmpfs"].entries():
        found[target] = _of_options(options, target)
    return found.values()


def _of_mount(mount: Value, target: str) -> Mount:
    """Return a mount that was asked for by `--mount type=tmpfs`."""
    options = mount["TmpfsOptions"]
    memory = TmpfsMount(
        size_bytes=options["SizeBytes"].count(), mode=options["Mode"].count(INT32) or None
    )
    return Mount(target=target, read_only=mount["ReadOnly"].flag(), tmpfs=memory)


def _of_options(options: Value, target: str) -> Mount:
    """Return a mount that was asked for by `--tmpfs`; of options that repeat, the last counts."""
    size, mode = 0, None
    read_only = False
    for option in options.text().split(","):
        name, _, value = option.partition("=")
        match name:
            case "ro" | "rw":
                read_only = name == "ro"
            case "size":
                size = _size(options, value)
            case "mode" if _MODE.fullmatch(value):
                mode = int(value, 8) & 0o7777
    return Mount(target=target, read_only=read_only, tmpfs=TmpfsMount(size_bytes=size, mode=mode))


def _size(options: Value, text: str) -> int:
    """Return a number of bytes; 0: of a share of the host's memory, or what nobody can read."""
    found = _SIZE.fullmatch(text)
    if found is None:
        if not text.endswith("%"):
            options.omit("a size in bytes")
        return 0
    return min(int(found[1]) << _POWERS[found[2].lower()], MOST)
