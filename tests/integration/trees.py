"""What tests of trees share, whatever the engine: a tree of this machine, and a client."""

import os
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import proa
from proad.auth.passwords import Passwords
from proad.config import Settings
from proad.store.database import Database
from proad.store.users import UserStore
from relaxed_policy import RELAXED
from rpc.daemon import BOTH, Daemon, running

LARGE = 300_000


def tree_in(folder: Path) -> Path:
    """Return a new tree."""
    tree = folder / "tree"
    (tree / "a/b/c").mkdir(parents=True)
    (tree / "empty").mkdir(mode=0o750)
    (tree / "one").write_bytes(b"one")
    (tree / "a/large").write_bytes(os.urandom(LARGE))
    (tree / "a/b/c/tool").write_bytes(b"")
    (tree / "a/b/c/tool").chmod(0o755)
    (tree / "a/\N{SNOWMAN} name").write_bytes(b"named")
    return tree


def content(folder: Path) -> dict[str, tuple[int, bytes | None]]:
    """Return what is in a folder: paths, modes and bytes."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mode & 0o7777,
            path.read_bytes() if path.is_file() and not path.is_symlink() else None,
        )
        for path in folder.rglob("*")
    }


def told(entries: Iterable[proa.TreeEntry]) -> dict[str, str]:
    """Return what is left out, and what fails, by path."""
    found = {each.path: each.left_out or str(each.error or "") for each in entries}
    return {path: text for path, text in found.items() if text}


def as_ann(daemon: Daemon, call: Callable[[proa.Client], Any]) -> Any:
    """Make calls as a user with both scopes. On a thread: the daemon is in this process."""
    with proa.connect(daemon.address, token=daemon.token(*BOTH)) as client:
        return call(client)


@asynccontextmanager
async def serving(driver: Any, folder: Path) -> AsyncIterator[Daemon]:
    """Serve a driver; ann has both scopes."""
    state = folder / "state"
    state.mkdir(mode=0o700)
    values: dict[str, Any] = {"listen": "127.0.0.1:0", "drain_timeout": "5s", "policy": RELAXED}
    settings = Settings(state_dir=state, **values)
    async with Database.open(settings.database_url.get_secret_value()) as database:
        with Passwords(cost=4) as passwords:
            hashed = await passwords.hash("correct horse")
        await UserStore(database).add("ann", hashed, BOTH)
    async with running(settings, [("local", driver)]) as daemon:
        yield daemon
