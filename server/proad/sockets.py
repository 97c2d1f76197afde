"""Unix sockets to listen on: who has their path."""

import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from proad.errors import SetupError
from proad.locks import locked
from proad.ownership import check_place


@contextmanager
def claimed(path: Path) -> Iterator[None]:
    """Keep the path of a socket for this process, and clear away what a dead one left.

    gRPC takes any path, also from under a daemon that serves there.

    Raises:
        SetupError: somebody serves there, others could put a socket of theirs there, or
            something else is there.
    """
    try:
        check_place(path)
    except OSError as error:
        raise SetupError(f"{path.parent}: {error.strerror}; make it, or choose another") from error
    taken = f"unix:{path}: another process serves there; stop it, or listen somewhere else"
    with locked(path.with_name(f"{path.name}.lock"), taken):
        _clear(path, taken)
        yield


def _clear(path: Path, taken: str) -> None:
    """Remove a socket on which nobody listens."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise SetupError(f"{path}: is there and no socket; remove it, or listen elsewhere")
        with socket.socket(socket.AF_UNIX) as probe:
            probe.setblocking(False)
            probe.connect(str(path))
        raise SetupError(taken)
    except BlockingIOError:  # so many want to connect that it has no room for us
        raise SetupError(taken) from None
    except ConnectionRefusedError:
        path.unlink(missing_ok=True)
    except FileNotFoundError:
        return
    except OSError as error:
        raise SetupError(f"{path}: {error.strerror}; remove it, or listen elsewhere") from error
