"""The files of containers, as the root directory of their main processes.

What is looked up below it stays below: absolute links and `..` lead nowhere else, and the links of
/proc that lead anywhere are not followed. It is looked up as the user 0 of the container, with no
right that a process of the container could not have.
"""

import ctypes
import errno
import os
import platform
from dataclasses import dataclass, replace
from pathlib import Path

from proad.drivers.docker.process_rights import Right, own_rights, rights
from proad.drivers.exhausted import is_exhausted

# https://man7.org/linux/man-pages/man2/openat2.2.html
_OPENAT2 = 437
_NO_MAGICLINKS, _IN_ROOT = 0x02, 0x10
# setgroups, setresgid, setresuid of one thread: those of the C library change all of them.
_SET_USER = {"x86_64": (116, 119, 117), "aarch64": (159, 149, 147)}
# https://man7.org/linux/man-pages/man2/capset.2.html
_CAPABILITIES = 0x20080522
# To look into the processes of others, and to leave the own groups.
_NEEDED = (Right.SYS_PTRACE, Right.SETGID)
_UNSUPPORTED = frozenset({errno.ENOSYS, errno.EPERM})


class HostFilesError(Exception):
    """The mount namespace of a container is that of the host."""


class UnsupportedHostError(OSError):
    """This host's kernel, or its rights, do not let the daemon look into a container alone."""


class _How(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


@dataclass(frozen=True, slots=True)
class ContainerRoot:
    """The root directory of a container, and who its user 0 is on this host.

    Attributes:
        fd: the directory.
        user: number of the user.
        group: number of the group 0.
        overrides: whether that user may pass over the modes of files, as root usually may.
    """

    fd: int
    user: int
    group: int
    overrides: bool

    @classmethod
    def of(cls, pid: int) -> "ContainerRoot | None":
        """Return the root of a process; None: it is out of reach.

        Raises:
            HostFilesError: its files are those of the host.
            OSError: there is no descriptor or no memory left to see that.
        """
        fd = -1
        try:
            fd = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            process = Path(f"/proc/{pid}")
            if _is_of_host(process):
                raise HostFilesError
            bounds = rights(process, "CapBnd")
            # After it: the set of a process in another user namespace is one of that alone.
            is_ours = (process / "ns/user").samefile("/proc/self/ns/user")
            user, group = _outside(process / "uid_map"), _outside(process / "gid_map")
            if user is not None and group is not None:
                overrides = is_ours and Right.DAC_OVERRIDE in bounds
                root, fd = cls(fd, user, group, overrides), -1
                return root
        except OSError as error:
            if is_exhausted(error):
                raise
        finally:
            if fd >= 0:
                os.close(fd)
        return None

    def open(self, path: str) -> int:
        """Return a descriptor of what is at a path, which is not opened itself.

        Raises:
            UnsupportedHostError: that cannot be had here.
            OSError: there is nothing, or it may not be looked at.
        """
        how = _How(os.O_PATH | os.O_CLOEXEC, 0, _IN_ROOT | _NO_MAGICLINKS)
        return _call(_OPENAT2, self.fd, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how))

    def become_its_user(self) -> None:
        """Have the calling thread be user 0 of the container from now on.

        Raises:
            UnsupportedHostError: it may not.
        """
        numbers = _SET_USER.get(platform.machine())
        if numbers is None:
            raise UnsupportedHostError(platform.machine())
        set_groups, set_group, set_user = numbers
        _call(set_groups, 0, None)
        _call(set_group, self.group, self.group, self.group)
        # The effective one alone, which counts for files and peers. By the two others the kernel judges
        # who may kill this process, or limit it: where the container's is a user of this host, that one.
        _call(set_user, -1, self.user, -1)
        header, sets = _Header(_CAPABILITIES, 0), (_Sets * 2)()
        _checked(_libc().capget(ctypes.byref(header), sets))
        kept = sets[0].permitted & Right.DAC_OVERRIDE if self.overrides else 0
        sets[0], sets[1] = _Sets(kept, kept, 0), _Sets()
        _checked(_libc().capset(ctypes.byref(header), sets))

    def copy(self) -> "ContainerRoot":
        """Return another one of the same, which is let go by itself.

        Raises:
            OSError: there is no descriptor left.
        """
        return replace(self, fd=os.dup(self.fd))

    def close(self) -> None:
        """Let it go."""
        os.close(self.fd)


def _is_of_host(process: Path) -> bool:
    """Return whether a process has the files of this one, or those of the host."""
    namespace = process / "ns/mnt"
    if namespace.samefile("/proc/self/ns/mnt"):
        return True
    try:
        return namespace.samefile("/proc/1/ns/mnt")
    except PermissionError:
        return False  # the host's is not shown, and no engine gives it to a container


def obstacle() -> str:
    """Return why this process may look into no container at all; empty: it may look into some."""
    if platform.machine() not in _SET_USER:
        return f"this daemon knows no system calls of {platform.machine()}"
    own = own_rights()
    return next((f"this daemon lacks CAP_{each.name}" for each in _NEEDED if each not in own), "")


def _outside(ids: Path) -> int | None:
    """Return the number that 0 of a user namespace has in ours; None: it has none."""
    for line in ids.read_text().splitlines():
        inside, outside, count = map(int, line.split())
        if inside == 0 and count:
            return outside
    return None


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(number: int, *arguments: object) -> int:
    """Make a system call that Python does not have."""
    words = (ctypes.c_long(each) if isinstance(each, int) else each for each in arguments)
    return _checked(_libc().syscall(ctypes.c_long(number), *words))


def _checked(result: int) -> int:
    """Return the result of a call of the C library.

    Raises:
        UnsupportedHostError: the kernel, or a filter, does not let this process call it.
        OSError: it failed.
    """
    if result < 0:
        number = ctypes.get_errno()
        kind = UnsupportedHostError if number in _UNSUPPORTED else OSError
        raise kind(number, os.strerror(number))
    return result
