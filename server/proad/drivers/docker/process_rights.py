"""What processes of this host may do: their capabilities, as the kernel has them."""

from enum import IntFlag
from pathlib import Path

_OWN = Path("/proc/self")


class Right(IntFlag):
    """A capability; see https://man7.org/linux/man-pages/man7/capabilities.7.html."""

    DAC_OVERRIDE = 1 << 1
    KILL = 1 << 5
    SETGID = 1 << 6
    SYS_PTRACE = 1 << 19


def rights(process: Path, which: str) -> Right:
    """Return a set of capabilities of a process, such as "CapBnd".

    Args:
        process: its folder in /proc.
        which: the name of the set.

    Raises:
        OSError: it is out of sight.
    """
    for line in (process / "status").read_text(errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name == which:
            return Right(int(value, 16))
    return Right(0)


def own_rights() -> Right:
    """Return what this process may do now; nothing where it cannot see that."""
    try:
        return rights(_OWN, "CapEff")
    except OSError:
        return Right(0)
