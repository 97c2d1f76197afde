"""A lock for each resource, whose holder a verb with force can preempt."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from proad.errors import ActivityInProgressError
from proad.model import Verb

# The verbs that wait for a guest, and so the only ones that force need not wait for.
_GRACEFUL = frozenset({Verb.STOP, Verb.RESTART})


@dataclass(eq=False, slots=True)
class _Hold:
    """The lock of one key while it is held.

    Attributes:
        verb: the verb that acquired the lock.
        task: the task of that verb.
        force: whether that verb goes by force.
        users: number of verbs that share the lock.
        released: set when the last of them has left.
        preempted_by: the verb that cancelled `task` to have the lock.
    """

    verb: Verb
    task: asyncio.Task[Any]
    force: bool
    users: int = 1
    released: asyncio.Event = field(default_factory=asyncio.Event)
    preempted_by: Verb | None = None


class KeyedLock:
    """Runs verbs with one key one at a time, and verbs with different keys in parallel.

    Args:
        patience: seconds that a verb waits for all verbs before it. Long enough for two
            callers who pause and resume, too short to wait for a graceful stop.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._holds: dict[str, _Hold] = {}

    @asynccontextmanager
    async def hold(
        self, key: str, name: str, verb: Verb, *, preempt: bool = False
    ) -> AsyncIterator[bool]:
        """Hold the lock of a key, and yield whether alone.

        With `preempt`, do not wait for a stop or a restart that waits for its grace period.
        A stop ends well by itself once the resource is stopped by force: share its lock. If
        either verb wants the resource to run, cancel the holder. A verb that goes by force
        itself is soon over: wait for it.

        Args:
            key: the key.
            name: name of the resource, for errors.
            verb: the verb that wants the lock.
            preempt: whether the verb goes by force.

        Raises:
            ActivityInProgressError: other verbs took too long, or one preempted this verb.
        """
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a lock needs a task")
        hold = await self._acquire(key, name, verb, task, preempt=preempt)
        alone = hold.task is task
        try:
            yield alone
        except asyncio.CancelledError:
            if not alone or hold.preempted_by is None:
                raise
            task.uncancel()
            raise ActivityInProgressError(name, hold.preempted_by) from None
        finally:
            hold.users -= 1
            if not hold.users:
                del self._holds[key]
                hold.released.set()

    async def _acquire(
        self, key: str, name: str, verb: Verb, task: asyncio.Task[Any], *, preempt: bool
    ) -> _Hold:
        deadline = asyncio.get_running_loop().time() + self._patience
        while (held := self._holds.get(key)) is not None:
            if preempt and held.verb in _GRACEFUL and not held.force:
                if Verb.RESTART not in {verb, held.verb}:
                    held.users += 1
                    return held
                if held.preempted_by is None:
                    held.preempted_by = verb
                    held.task.cancel()
            try:
                async with asyncio.timeout_at(deadline):
                    await held.released.wait()
            except TimeoutError:
                raise ActivityInProgressError(name, held.verb) from None
        hold = self._holds[key] = _Hold(verb, task, force=preempt)
        return hold
