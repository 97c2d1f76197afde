"""The verbs that the engine does in one step.

The engine is asked first and the container looked at afterwards, for the answer or for
the reason of a refusal: that is fast, and no race can come in between.
"""

import asyncio
from datetime import timedelta
from http import HTTPStatus
from typing import NamedTuple

from proad.drivers.docker.errors import ENGINE, refused
from proad.drivers.docker.http.engine_client import EngineClient
from proad.drivers.docker.reader import ContainerReader, path
from proad.drivers.docker.stop import ContainerStopper
from proad.errors import CapabilityMissingError
from proad.model import (
    DeleteOptions,
    Resource,
    ResourceState,
    StartOptions,
    Verb,
    refusal,
)

# Seconds, and how often, to look again for what should be so already.
_LOOK = 0.02
_LOOKS = 10
_DOUBTS = 2  # looks that are not believed when they say that it is done already
# How long somebody else's removal may take.
_REMOVAL = timedelta(seconds=20)


class _Transition(NamedTuple):
    """A verb, the path of its call, and the state that the call leads to."""

    verb: Verb
    path: str
    state: ResourceState


_PAUSE = _Transition(Verb.PAUSE, "/pause", ResourceState.PAUSED)
_RESUME = _Transition(Verb.RESUME, "/unpause", ResourceState.RUNNING)


class ContainerLifecycle:
    """Starts, pauses, resumes and deletes containers."""

    def __init__(
        self, engine: EngineClient, reader: ContainerReader, stopper: ContainerStopper
    ) -> None:
        self._engine = engine
        self._reader = reader
        self._stopper = stopper

    async def start(self, id: str, options: StartOptions) -> Resource:
        """Start a container, resume a paused one; see the port."""
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
        """Freeze a container; see the port."""
        return await self._transition(_PAUSE, id)

    async def resume(self, id: str) -> Resource:
        """Resume a container; see the port."""
        return await self._transition(_RESUME, id)

    async def _transition(self, transition: _Transition, id: str) -> Resource:
        """Pause or resume.

        Docker receives its own pauses a second time, as events of containerd. When such an
        event is late, after an opposite call, Docker takes it for news and shows the wrong
        state for a moment.
        """
        for attempt in range(_LOOKS):
            answer, now = await self._reader.after(transition.path, id)
            if answer.ok:
                reached = now.state is transition.state
                return now if reached else await self._settled(now, transition.state)
            error = refusal(transition.verb, now)
            if error and (now.state is not transition.state or attempt == _DOUBTS):
                raise error
            await asyncio.sleep(_LOOK)
        raise refused(answer.status, answer.text)

    async def _settled(self, now: Resource, then: ResourceState) -> Resource:
        for _ in range(_LOOKS):
            await asyncio.sleep(_LOOK)
            now = await self._reader.summary(now.id)
            if now.state is then:
                break
        return now  # in another state, somebody else has done more to it

    async def delete(self, id: str, options: DeleteOptions) -> Resource:
        """Delete a container and its nameless volumes; see the port."""
        last = await self._reader.get(id)
        removing = last.state is ResourceState.REMOVING
        if not removing and (error := refusal(Verb.DELETE, last, force=options.force)):
            raise error
        answer = await self._engine.delete(
            path(id), params={"v": int(not options.keep_volumes), "force": int(options.force)}
        )
        if answer.ok or answer.status == HTTPStatus.NOT_FOUND:
            return last
        now = await self._reader.find(id)
        if now is None:
            return last
        removing = now.state is ResourceState.REMOVING
        if not removing and (error := refusal(Verb.DELETE, now, force=options.force)):
            raise error
        # Most likely somebody else is removing it, which a container that is being
        # killed for that does not show yet.
        if answer.status == HTTPStatus.CONFLICT and await self._stopper.gone(id, _REMOVAL):
            return last
        raise refused(answer.status, answer.text)
