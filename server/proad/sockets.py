"""The Unix sockets to listen on: whose their paths are, and who may connect."""

import grp
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from proad.errors import SetupError
from proad.locks import locked
from proad.ownership import check_parent
from proad.unix_streams import refuse_descriptors


@dataclass(frozen=True, slots=True)
class SocketAccess:
    """Who may connect to a Unix socket.

    Attributes:
        group: id of the group of the socket's file; None for the one of the process.
        mode: permissions of the file; to connect takes the one to write.
    """

    group: int | None = None
    mode: int = 0o660

    @classmethod
    def of(cls, group: str, mode: str) -> "SocketAccess":
        """Return the access for a group by its name, and a mode in octal; empty: no group.

        Raises:
            SetupError: there is no such group.
        """
        try:
            return cls(grp.getgrnam(group).gr_gid if group else None, int(mode, 8))
        except KeyError:
            raise SetupError(
                f"socket_group: there is no group {group!r}; make it: groupadd --system {group}"
            ) from None

    def open(self, path: Path) -> None:
        """Let others connect to a socket that so far is this user's alone.

        Raises:
            SetupError: this process may not give the file to the group.
        """
        try:
            if self.group is not None:
                # First, while nobody else may connect: never is it open to another group.
                os.chown(path, -1, self.group, follow_symlinks=False)
            path.chmod(self.mode)
        except OSError as error:
            raise SetupError(
                f"{path}: cannot be given to the group {self.group}: {error.strerror}; "
                "run the daemon as root or as a member of socket_group"
            ) from error


@contextmanager
def unshared() -> Iterator[None]:
    """Let files that are made within the context be this user's alone, from their first moment."""
    before = os.umask(0o177)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def bound(path: Path, access: SocketAccess) -> Iterator[socket.socket]:
    """Bind a socket to a path that is this process's alone; at the end, close and remove it.

    A socket there, of a process that was killed, is removed.

    Raises:
        SetupError: the socket cannot be made, or given to its group.
    """
    with socket.socket(socket.AF_UNIX) as made:
        try:
            path.unlink(missing_ok=True)
            with short_address(path) as address:
                # Linux gives the file the mode of the socket, less the umask: nobody else can
                # connect before `access` lets them.
                os.fchmod(made.fileno(), 0o600)
                made.bind(address)
                refuse_descriptors(made)
        except OSError as error:
            raise SetupError(f"{path}: {error.strerror}") from error
        try:
            access.open(path)
            yield made
        finally:
            with suppress(OSError):  # somebody has put something else there
                path.unlink(missing_ok=True)


@contextmanager
def short_address(path: Path) -> Iterator[str]:
    """Return an address of a Unix socket that is short, however long the path is."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


@contextmanager
def claimed(path: Path) -> Iterator[None]:
    """Claim the path of a socket for this process, and remove a stale socket there.

    gRPC would take over the path even of a running daemon.

    Raises:
        SetupError: another process serves there, another user could create a socket there, or
            the path is something else than a socket.
    """
    try:
        check_parent(path)
    except OSError as error:
        raise SetupError(f"{path.parent}: {error.strerror}; make it, or choose another") from error
    taken = f"unix:{path}: another process serves there; stop it, or listen somewhere else"
    with locked(path.with_name(f"{path.name}.lock"), taken):
        _clear(path, taken)
        yield


def _clear(path: Path, taken: str) -> None:
    """Remove a socket without a listener."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise SetupError(f"{path}: is there and no socket; remove it, or listen elsewhere")
        with socket.socket(socket.AF_UNIX) as probe:
            probe.setblocking(False)
            probe.connect(str(path))
        raise SetupError(taken)
    except BlockingIOError:  # the listener is alive, with a full backlog
        raise SetupError(taken) from None
    except ConnectionRefusedError:
        path.unlink(missing_ok=True)
    except FileNotFoundError:
        return
    except OSError as error:
        raise SetupError(f"{path}: {error.strerror}; remove it, or listen elsewhere") from error
