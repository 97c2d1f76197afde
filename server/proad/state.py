"""The daemon's state folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import UUID, uuid4

from proad.errors import SetupError
from proad.locks import is_locked, locked
from proad.ownership import check_own_folder, check_path, open_own

_LOCK = "serve.lock"
_LOG_LOCK = "audit.lock"


def prepare_state_dir(folder: Path) -> None:
    """Create the folder and missing parents with mode 0700.

    Raises:
        SetupError: the folder cannot be created, belongs to another user, or can be changed or
            replaced by others.
    """
    try:
        check_path(folder)
        for step in reversed((folder, *folder.parents)):
            if not step.exists() and not step.is_symlink():
                step.mkdir(mode=0o700, exist_ok=True)
        check_own_folder(folder, private=False)
    except OSError as error:
        raise SetupError(
            f"{folder}: {error.strerror}; choose another state_dir (PROA_STATE_DIR), "
            "or run as a user who may"
        ) from error


def daemon_id(folder: Path) -> str:
    """Return the id of the daemon of a state folder; make one the first time.

    It tells the rows of daemons apart that share a database.

    Raises:
        SetupError: the file with the id cannot be read or written, or holds none.
    """
    path = folder / "daemon_id"
    try:
        if not path.exists():
            # Linked once it is written as a whole: the daemon may die, and another may be faster.
            draft = folder / f".{uuid4()}"
            with draft.open("x", encoding="ascii") as file:
                file.write(f"{uuid4()}\n")
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileExistsError):
                path.hardlink_to(draft)
            draft.unlink()
        with os.fdopen(open_own(path, os.O_RDONLY), encoding="ascii") as file:
            return str(UUID(file.read(64).strip()))
    except OSError as error:
        raise SetupError(f"{path}: {error.strerror}") from error
    except ValueError:
        raise SetupError(f"{path}: holds no UUID; restore it, or remove it for a new one") from None


def is_served(folder: Path) -> bool:
    """Return whether a daemon uses the folder."""
    return is_locked(folder / _LOCK)


@contextmanager
def served(folder: Path) -> Iterator[None]:
    """Lock the folder for one daemon: two would take each other's running work for remains.

    Raises:
        SetupError: another daemon uses the folder.
    """
    refusal = (
        f"{folder}: another proad serves from this folder; stop it, "
        "or give this one a state_dir (PROA_STATE_DIR) of its own"
    )
    with locked(folder / _LOCK, refusal):
        yield


@contextmanager
def audit_log_held(folder: Path, *, patience: float = 0.0) -> Iterator[None]:
    """Lock the audit log of the folder for one process: the daemon, or a command without one.

    Args:
        folder: the state folder.
        patience: seconds that another process is given to release it.

    Raises:
        LockedError: another process writes the log.
        SetupError: the lock cannot be taken.
    """
    refusal = f"{folder}: another process writes the audit log; try again when it has ended"
    with locked(folder / _LOG_LOCK, refusal, patience=patience):
        yield
