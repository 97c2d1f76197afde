"""The daemon's state folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from proad.errors import SetupError
from proad.locks import locked
from proad.ownership import check_own_folder, check_path


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
    with locked(folder / "serve.lock", refusal):
        yield
