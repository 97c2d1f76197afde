"""The daemon's own folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from proad.errors import SetupError
from proad.locks import locked
from proad.ownership import check_own_folder, check_way


def prepare_state_dir(folder: Path) -> None:
    """Make the folder, and those above it, with mode 0700 where they are missing.

    Raises:
        SetupError: it cannot be made, it is another user's, or others may change what is
            in it or put another folder in its place.
    """
    try:
        check_way(folder)
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
    """Keep the folder for one daemon: what is under way in a second one looks left behind.

    Raises:
        SetupError: another daemon serves from it.
    """
    refusal = (
        f"{folder}: another proad serves from this folder; stop it, "
        "or give this one a state_dir (PROA_STATE_DIR) of its own"
    )
    with locked(folder / "serve.lock", refusal):
        yield
