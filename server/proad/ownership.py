"""Ownership checks: the daemon stores and serves only what other users cannot change.

A folder is as safe as the path to it: a user who may write to a parent can replace the folder.
Every component is therefore checked, links included. Root and the user of this process are
trusted; in a folder with the sticky bit, such as /tmp, users cannot replace each other's files.
"""

import errno
import os
import pwd
import stat
from collections import deque
from pathlib import Path

from proad.errors import SetupError

_ROOT = 0
_MOST_LINKS = 40
_OTHERS_WRITE = 0o022
_OTHERS_LOOK = 0o077


def check_own_folder(folder: Path, *, private: bool) -> None:
    """Check that a folder belongs to this user, and that nobody else can change or replace it.

    Args:
        folder: an absolute path.
        private: whether others must not even list the folder.

    Raises:
        SetupError: the folder belongs to another user, is accessible to others, is a symbolic
            link, or has an unsafe path.
        OSError: a component cannot be read.
    """
    check_path(folder)
    status = folder.lstat()
    if stat.S_ISLNK(status.st_mode):
        raise SetupError(
            f"{folder}: is a symbolic link; name the folder that it leads to: {folder.resolve()}"
        )
    if not stat.S_ISDIR(status.st_mode):
        raise SetupError(f"{folder}: is no folder")
    _check_owner(folder, status)
    mode = stat.S_IMODE(status.st_mode)
    if mode & (_OTHERS_LOOK if private else _OTHERS_WRITE):
        what = "look into" if private else "change"
        mend = (
            f"it is for everybody: choose one of your own in it, such as {folder / 'proa'}"
            if mode & stat.S_ISVTX
            else f"once they have not, make it private: chmod 700 {folder}"
        )
        raise SetupError(
            f"{folder}: others may {what} the daemon's folder (mode {mode:04o}); {mend}"
        )


def check_parent(file: Path) -> None:
    """Check that only root and this user can create, replace or remove a file in its folder.

    The sticky bit is no protection here: others could create the file first.

    Raises:
        SetupError: others can, or the folder has an unsafe path.
        OSError: the folder does not exist or cannot be read.
    """
    check_path(file)
    folder = file.parent
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & _OTHERS_WRITE:
        # A folder such as /tmp is shared on purpose; the message must not advise to restrict it.
        mend = "" if mode & stat.S_ISVTX else f", or make it one: chmod go-w {folder}"
        raise SetupError(
            f"{folder}: others may put a file of theirs in place of {file.name} "
            f"(mode {mode:04o}); choose a folder that only this user may write to{mend}"
        )


def open_own(path: Path, flags: int) -> int:
    """Open a file that belongs to this user and is no link; O_CREAT uses mode 0600.

    Raises:
        SetupError: the file belongs to another user, or is a symbolic link.
        OSError: the file cannot be opened.
    """
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise SetupError(
                f"{path}: is a symbolic link; put the file itself there, or name its real path"
            ) from None
        raise
    try:
        _check_owner(path, os.fstat(descriptor))
    except SetupError:
        os.close(descriptor)
        raise
    return descriptor


def _check_owner(path: Path, status: os.stat_result) -> None:
    """Raise SetupError unless a file or folder belongs to this user."""
    if status.st_uid != os.geteuid():
        raise SetupError(
            f"{path}: belongs to {_name(status.st_uid)}, and this process runs as "
            f"{_name(os.geteuid())}; run it as that user, or: chown {os.geteuid()} {path}"
        )


def check_path(path: Path) -> None:
    """Check that only root and this user can change the components of a path.

    Missing components are as safe as the folder in which they will be created.

    Raises:
        SetupError: another user can.
        OSError: a component cannot be read.
    """
    at = Path("/")
    _check_step(at, at.lstat(), path)
    ahead = deque(path.parts[1:])
    links = 0
    while len(ahead) > 0:
        name = ahead.popleft()
        if name == "..":
            at = at.parent
            continue
        step = at / name
        try:
            status = step.lstat()
        except FileNotFoundError:
            return
        if stat.S_ISLNK(status.st_mode):
            if not ahead:
                return
            links += 1
            if links > _MOST_LINKS:
                raise SetupError(f"{path}: too many symbolic links on the way")
            _check_step_owner(step, status, path)
            target = step.readlink()
            at = Path("/") if target.is_absolute() else at
            ahead.extendleft(reversed([part for part in target.parts if part != "/"]))
        elif ahead:
            _check_step(step, status, path)
            at = step


def _check_step(step: Path, status: os.stat_result, path: Path) -> None:
    _check_step_owner(step, status, path)
    mode = stat.S_IMODE(status.st_mode)
    if mode & _OTHERS_WRITE and not mode & stat.S_ISVTX:
        raise SetupError(
            f"{step}: others may write to it (mode {mode:04o}), and so put something of theirs "
            f"in place of {path}; chmod go-w {step}, or choose another place"
        )


def _check_step_owner(step: Path, status: os.stat_result, path: Path) -> None:
    if status.st_uid not in {_ROOT, os.geteuid()}:
        raise SetupError(
            f"{step}: belongs to {_name(status.st_uid)}, who can put something else in place of "
            f"{path}; choose a place that only root and {_name(os.geteuid())} can change"
        )


def _name(uid: int) -> str:
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"
