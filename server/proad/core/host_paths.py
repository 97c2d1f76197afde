"""Paths of the host, opened component by component without following links."""

import asyncio
import os
import stat
import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import PurePosixPath
from typing import TypeVar

from proad.policy.containers import HostPath, Step, Walk

T = TypeVar("T")

_FLAGS = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


class HostPathReader:
    """Looks at paths on threads of its own: a file system may hang.

    Args:
        within: seconds after which a path counts as unreadable.
        at_once: most looks under way.
    """

    def __init__(self, *, within: float = 5.0, at_once: int = 2) -> None:
        self._within = within
        self._places = asyncio.Semaphore(at_once)

    async def read(self, paths: Collection[str]) -> Mapping[str, HostPath]:
        """Return paths as they are now; those that hang count as unreadable."""
        found = {path: HostPath(path=path) for path in paths}
        if paths:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._within):
                    await self._places.acquire()
                    await self._on_a_thread(lambda: found.update(map(_walked, list(found))))
        return dict(found)

    async def _on_a_thread(self, look: Callable[[], T]) -> None:
        """Run on a thread that delays nobody's exit; its place is free again when it ends."""
        loop = asyncio.get_running_loop()
        done = asyncio.Event()

        def finish() -> None:
            self._places.release()
            done.set()

        def run() -> None:
            try:
                look()
            finally:
                with suppress(RuntimeError):  # the event loop is closed by now
                    loop.call_soon_threadsafe(finish)

        threading.Thread(target=run, name="host-paths", daemon=True).start()
        await done.wait()


def _walked(path: str) -> tuple[str, HostPath]:
    return path, walked(path)


def walked(path: str) -> HostPath:
    """Return an absolute path as it is now."""
    steps, walk = _steps(path)
    try:
        real = os.path.realpath(path)
    except OSError:  # what a link leads to cannot be read
        real, walk = path, Walk.UNREADABLE
    identities = [step.identity for step in _steps(real)[0]]
    whole = len(identities) == len(PurePosixPath(real).parts)
    return HostPath(
        path=path,
        steps=tuple(steps),
        walk=walk,
        target=identities.pop() if whole else None,
        folders=tuple(identities),
    )


def _steps(path: str) -> tuple[list[Step], Walk]:
    """Open the components of a path one after another; return them, and how that has ended."""
    steps: list[Step] = []
    at: int | None = None
    try:
        for name in PurePosixPath(path).parts:
            below = os.open(name, _FLAGS, dir_fd=at)
            if at is not None:
                os.close(at)
            at = below
            status = os.fstat(at)
            steps.append(Step((status.st_dev, status.st_ino), status.st_mode, status.st_uid))
            if stat.S_ISLNK(status.st_mode):
                return steps, Walk.LINK
    except (FileNotFoundError, NotADirectoryError):
        return steps, Walk.MISSING
    except OSError:
        return steps, Walk.UNREADABLE
    finally:
        if at is not None:
            os.close(at)
    return steps, Walk.WHOLE
