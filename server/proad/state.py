"""The daemon's own folder."""

import stat
from pathlib import Path

from proad.errors import SetupError


def prepare_state_dir(folder: Path) -> None:
    """Make the folder with mode 0700 if it is missing.

    Raises:
        SetupError: it cannot be made, or others may change what is in it.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = stat.S_IMODE(folder.stat().st_mode)
    except OSError as error:
        raise SetupError(
            f"{folder}: {error.strerror}; choose another state_dir (PROA_STATE_DIR), "
            "or run as a user who may"
        ) from error
    if mode & 0o022:
        raise SetupError(
            f"{folder}: others may change the daemon's folder (mode {mode:04o}); "
            f"make it private: chmod 700 {folder}"
        )
