"""Paths that lead to the same file whenever they are resolved."""

import os
import stat
from pathlib import Path

_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def obstacle(path: str) -> str:
    """Return why somebody may put another file where a path leads; empty: nobody may.

    libvirt resolves the path again at each start, and gives the file to QEMU's user. A missing
    file is no obstacle.

    Args:
        path: an absolute path of this host.
    """
    trusted = {0, os.geteuid()}
    try:
        sticky = False
        for folder in reversed(Path(path).parents):
            found = os.lstat(folder)
            if not stat.S_ISDIR(found.st_mode):
                return f"{str(folder)!r} on the way to it is no plain folder"
            sticky = bool(found.st_mode & stat.S_ISVTX)
            if found.st_uid not in trusted or (found.st_mode & _OTHERS and not sticky):
                return f"others than root may write the folder {str(folder)!r} on the way to it"
        found = os.lstat(path)
    except OSError:
        return ""
    if stat.S_ISLNK(found.st_mode):
        return "it is a link"
    if sticky and found.st_uid not in trusted:
        return "others than root may replace it"
    return ""
