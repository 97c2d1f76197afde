"""Start, pause and resume of containers.

The engine is called first, and the container read afterwards, for the answer or for the reason
of a refusal. That is fast, and leaves no race in between.
"""

import asyncio
from typing import NamedTuple

from proad.drivers.docker.errors import ENGINE, refused
from proad.drivers.docker.http.engine_client import EngineClient
from proad.drivers.docker.reader import ContainerReader, path
from proad.drivers.docker.timing import TransitionTiming
from proad.errors import CapabilityMissingError
from proad.model import Resource, ResourceState, StartOptions, Verb, refusal

# Reads of a container until it shows a state that the engine has confirmed.
_READS = 10
# Refusals of a transition as done already that are not believed.
_DOUBTS = 2


class _Transition(NamedTuple):
    """A verb, the path of its call, and the state that the call leads to."""

    verb: Verb
    path: str
    state: ResourceState


_PAUSE = _Transition(Verb.PAUSE, "/pause", ResourceState.PAUSED)
_RESUME = _Transition(Verb.RESUME, "/unpause", ResourceState.RUNNING)


class ContainerLifecycle:
    """Starts, pauses and resumes containers."""

    def __init__(
        self,
        engine: EngineClient,
        reader: ContainerReader,
        timing: TransitionTiming = TransitionTiming(),
    ) -> None:
        self._engine = engine
        self._reader = reader
        self._recheck_after = timing.recheck_after.total_seconds()

    async def start(self, id: str, options: StartOptions) -> Resource:
        """Start a container, resume a paused one; see `ports.Driver.start`."""
        if options.from_snapshot or options.discard_saved_state:
            raise CapabilityMissingError(
                "snapshots and saved states of containers",
                driver=ENGINE,
                hint="start it without from_snapshot and discard_saved_state",
            )
        answer, now = await self._reader.after("/start", id)
        if answer.ok:
            return now
        if now.state is ResourceState.PAUSED:
            return await self.resume(id)
        raise refusal(Verb.START, now) or await self._reader.failure(answer)

    async def pause(self, id: str) -> Resource:
        """Freeze a container; see `ports.Driver.pause`."""
        return await self._transition(_PAUSE, id)

    async def resume(self, id: str) -> Resource:
        """Resume a container; see `ports.Driver.resume`."""
        return await self._transition(_RESUME, id)

    async def _transition(self, transition: _Transition, id: str) -> Resource:
        """Pause or resume a container.

        Docker receives its own pauses a second time, as events of containerd. When such an
        event comes after the opposite call, Docker takes it for news, and shows and checks
        the wrong state for a moment. A refusal as done already is therefore tried again.
        """
        self._reader.cache.begin_transition(id)
        answer = await self._engine.post(path(id, transition.path))
        if answer.ok and (after := self._reader.cache.after(id, transition.state)) is not None:
            return after
        if answer.ok:
            return await self._reach(transition.state, await self._reader.summary(id))
        for attempt in range(_READS):
            answer, now = await self._reader.after(transition.path, id)
            if answer.ok:
                return await self._reach(transition.state, now)
            error = refusal(transition.verb, now)
            if error and (now.state is not transition.state or attempt == _DOUBTS):
                raise error
            await asyncio.sleep(self._recheck_after)
        raise refused(answer.status, answer.text)

    async def _reach(self, state: ResourceState, now: Resource) -> Resource:
        """Read a container until it shows a state, or somebody else has changed it again."""
        for _ in range(_READS):
            if now.state is state:
                break
            await asyncio.sleep(self._recheck_after)
            now = await self._reader.summary(now.id)
        return now
