"""Ownership of the paths of Unix sockets to listen on."""

import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from proad.errors import SetupError
from proad.locks import locked
from proad.ownership import check_parent


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
