"""Paths of the host, opened component by component without following links."""

import asyncio
import os
import stat
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import PurePosixPath

from proad.policy.containers import HostPath, Step, Walk

_FLAGS = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


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


class HostPathReader:
    """Looks at paths on threads of its own: a file system may hang.

    Args:
        within: seconds after which paths count as unreadable.
        at_once: most looks under way.
        look: returns a path as it is.
    """

    def __init__(
        self,
        *,
        within: float = 5.0,
        at_once: int = 2,
        look: Callable[[str], HostPath] = walked,
    ) -> None:
        self._within = within
        self._look = look
        self._places = asyncio.Semaphore(at_once)

    async def read(self, paths: Collection[str]) -> Mapping[str, HostPath]:
        """Return paths as they are now. If one of them hangs, all count as unreadable."""
        wanted = list(paths)
        try:
            async with asyncio.timeout(self._within):
                await self._places.acquire()
                return await self._looked_at(wanted)
        except TimeoutError:
            return {path: HostPath(path=path) for path in wanted}

    async def _looked_at(self, paths: Sequence[str]) -> Mapping[str, HostPath]:
        """Look on a thread that delays nobody's exit; its place is free again when it ends."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Mapping[str, HostPath]] = loop.create_future()

        def finish(found: Mapping[str, HostPath]) -> None:
            self._places.release()
            if not answer.done():
                answer.set_result(found)

        def run() -> None:
            found = {path: self._look(path) for path in paths}
            with suppress(RuntimeError):  # the event loop is closed by now
                loop.call_soon_threadsafe(finish, found)

        threading.Thread(target=run, name="host-paths", daemon=True).start()
        return await answer
