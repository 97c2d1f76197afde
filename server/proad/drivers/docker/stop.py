"""Stop a container, and stop it in order to start it again.

A graceful stop is made of a signal and of looking, rather than of the engine's own
stop call: that one would hold a thread for the whole grace period, and it always kills
in the end. Docker takes a container that got its stop signal for stopped by hand, so
that no restart policy brings it back.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus

from proad.drivers.docker.errors import ENGINE, refused
from proad.drivers.docker.http.api import Answer
from proad.drivers.docker.http.engine_client import EngineClient
from proad.drivers.docker.reader import ContainerReader, path
from proad.drivers.docker.spec import whole_seconds
from proad.drivers.docker.timing import StopTiming
from proad.drivers.docker.view import ended
from proad.errors import (
    CapabilityMissingError,
    EngineConflictError,
    EngineTimedOutError,
    EngineUnreachableError,
    NotFoundError,
    ProaError,
    ResourceNotFoundError,
    StateError,
    StopTimedOutError,
)
from proad.model import (
    ACTIVE,
    Lifetime,
    Resource,
    ResourceState,
    RestartMode,
    RestartOptions,
    StopMode,
    StopOptions,
    Verb,
    refusal,
)
from proad.model.checks import GRACE_LIMIT
from proad.ports import OnStep

DEFAULT_GRACE = timedelta(seconds=10)
STOP_MODES = frozenset({StopMode.GRACEFUL, StopMode.GRACEFUL_THEN_FORCE, StopMode.FORCE})
_DEFAULT_SIGNAL = "SIGTERM"
_KILL = "SIGKILL"
_KILLING = "killing"


class ContainerStopper:
    """Stops and restarts containers."""

    def __init__(
        self, engine: EngineClient, reader: ContainerReader, timing: StopTiming = StopTiming()
    ) -> None:
        self._engine = engine
        self._reader = reader
        self._timing = timing
        # The engine's own restarts that are under way, by the container's id.
        self._restarts: dict[str, asyncio.Task[Answer]] = {}

    async def stop(self, id: str, options: StopOptions, on_step: OnStep) -> Resource:
        """Stop a container; see the port."""
        mode = options.mode or StopMode.GRACEFUL_THEN_FORCE
        if mode not in STOP_MODES:
            raise CapabilityMissingError(
                f"stop mode {mode}", driver=ENGINE, hint=f"use mode {', '.join(sorted(STOP_MODES))}"
            )
        urgent = mode is StopMode.FORCE  # must not queue behind the call that it is to end
        resource = await self._legal(Verb.STOP, id, urgent=urgent)
        last = await self._reader.find_summary(id, urgent=urgent)
        match mode:
            case StopMode.FORCE:
                await self._kill(resource, on_step, urgent=True)
            case StopMode.GRACEFUL:
                _refuse_killing(resource)
                await self._ask(resource, options.grace_period, on_step)
            case _:
                await self._ask_and_kill(resource, options.grace_period, on_step)
        now = await self._reader.find_summary(id, urgent=urgent)
        if now is not None and now.state is not ResourceState.REMOVING:
            return now
        # The removal, by somebody else or by the container itself, is done or under way.
        if last is None or (now is None and resource.lifetime is Lifetime.PERSISTENT):
            raise ResourceNotFoundError(id)
        gone = ended(now or last)
        if resource.lifetime is Lifetime.TRANSIENT:
            return replace(gone, lifetime=resource.lifetime)
        # It may be listed for a moment yet, and a SUMMARY has the lifetime that the list has.
        return gone

    async def restart(self, id: str, options: RestartOptions, on_step: OnStep) -> Resource:
        """Restart a container; see the port."""
        mode = options.mode or RestartMode.GRACEFUL_THEN_FORCE
        resource = await self._legal(Verb.RESTART, id)
        if mode is RestartMode.GRACEFUL:
            await self._restart_gracefully(resource, options.grace_period, on_step)
            return await self._reader.summary(id)
        # The engine's own restart goes on when this process dies, and keeps a TRANSIENT container.
        grace = timedelta(0)
        if mode is RestartMode.GRACEFUL_THEN_FORCE:
            grace = _grace(resource, options.grace_period)
            on_step(_asked(_signal(resource), grace), None)
        else:
            on_step(_KILLING, None)
        try:
            answer = await asyncio.shield(self._begin_restart(id, grace))
            if not answer.ok:
                raise await self._reader.refused(Verb.RESTART, id, answer)
        except (EngineConflictError, EngineTimedOutError):
            # Such as a stop signal that the kernel does not know. A container that is gone once
            # it has stopped, or may be, cannot be started again.
            if resource.lifetime is not Lifetime.PERSISTENT:
                raise
            await self._kill(resource, on_step, urgent=True)
            await self._start(resource, on_step)
        return await self._reader.summary(id)

    def _begin_restart(self, id: str, grace: timedelta) -> "asyncio.Task[Answer]":
        call = self._engine.post(
            path(id, "/restart"),
            params={"t": whole_seconds(grace) or 0},
            timeout=grace + self._engine.timeout,
            long=True,
        )
        task = self._restarts[id] = asyncio.create_task(call)

        def forget(done: "asyncio.Task[Answer]") -> None:
            if self._restarts.get(id) is done:
                del self._restarts[id]
            if not done.cancelled():
                done.exception()  # retrieved, since its caller may have gone

        task.add_done_callback(forget)
        return task

    async def _restart_gracefully(
        self, resource: Resource, grace: timedelta | None, on_step: OnStep
    ) -> None:
        if resource.lifetime is not Lifetime.PERSISTENT:
            raise CapabilityMissingError(
                "a graceful restart of a TRANSIENT container, which is gone once it has stopped",
                driver=ENGINE,
                hint="use mode GRACEFUL_THEN_FORCE",
            )
        _refuse_killing(resource)
        await self._ask(resource, grace, on_step)
        await self._start(resource, on_step)

    async def _start(self, resource: Resource, on_step: OnStep) -> None:
        on_step("starting", None)
        answer = await self._engine.post(path(resource.id, "/start"))
        if not (answer.ok or answer.status == HTTPStatus.NOT_MODIFIED):
            raise await self._reader.refused(Verb.START, resource.id, answer)

    async def _legal(self, verb: Verb, id: str, *, urgent: bool = False) -> Resource:
        try:
            resource = await self._reader.find(
                id, urgent=urgent, timeout=min(self._timing.inspect, self._engine.timeout)
            )
        except (EngineTimedOutError, EngineConflictError):
            # A hung container is listed all the same; its signal and time are then Docker's own.
            resource = await self._reader.find_summary(id, urgent=True)
        if resource is None:
            raise ResourceNotFoundError(id)
        if error := refusal(verb, resource):
            raise error
        return resource

    async def _ask(self, resource: Resource, grace: timedelta | None, on_step: OnStep) -> None:
        """Send the stop signal, and wait until the container has ended.

        Raises:
            StopTimedOutError: it has not ended in time. Nothing was killed.
        """
        signal = _signal(resource)
        within = _grace(resource, grace)
        # A kill with the stop signal also wakes a paused container.
        answer = await self._engine.post(path(resource.id, "/kill"), params={"signal": signal})
        if not answer.ok:
            raise await self._reader.refused(Verb.STOP, resource.id, answer)
        on_step(_asked(signal, within), None)
        if not await self._ends(resource, within):
            raise StopTimedOutError(resource.name, within, asked=[signal])

    async def _ask_and_kill(
        self, resource: Resource, grace: timedelta | None, on_step: OnStep
    ) -> None:
        """Send the stop signal; kill the container when that fails, or the time is over."""
        within = _grace(resource, grace) + self._timing.inspect
        try:
            async with asyncio.timeout(within.total_seconds()):
                await self._ask(resource, grace, on_step)
        except (StateError, NotFoundError, EngineUnreachableError):
            raise  # there is nothing left to kill, or no engine that could
        except (ProaError, TimeoutError):
            await self._kill(resource, on_step, urgent=True)

    async def _kill(self, resource: Resource, on_step: OnStep, *, urgent: bool = False) -> None:
        on_step(_KILLING, None)
        restart = self._restarts.get(resource.id)
        if restart is not None:
            # The engine starts again what is killed during its restart: end the restart first.
            await self._engine.post(
                path(resource.id, "/kill"), params={"signal": _KILL}, urgent=urgent
            )
            await asyncio.wait({restart})
        answer = await self._engine.post(
            path(resource.id, "/kill"), params={"signal": _KILL}, urgent=urgent
        )
        # A container that ended a moment ago is as good as a killed one.
        if not answer.ok and answer.status not in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}:
            raise refused(answer.status, answer.text)
        if not await self._ends(resource, self._engine.timeout, urgent=urgent):
            raise EngineTimedOutError(ENGINE, f"the stop of {resource.name!r}")

    async def _ends(self, resource: Resource, within: timedelta, *, urgent: bool = False) -> bool:
        """Wait until a container has ended, a TRANSIENT one until it is gone; return whether it has."""
        async for now in self._reads(resource.id, within, urgent=urgent):
            if now is None:
                return True
            if now.state not in ACTIVE:
                break
        else:
            return False
        transient = resource.lifetime is Lifetime.TRANSIENT
        if transient and not await self.gone(resource.id, self._engine.timeout, urgent=urgent):
            raise EngineTimedOutError(ENGINE, f"the removal of {resource.name!r}")
        return True

    async def gone(self, id: str, within: timedelta, *, urgent: bool = False) -> bool:
        """Wait for a removal that is under way, and return whether it ended."""
        async for now in self._reads(id, within, urgent=urgent):
            if now is None:
                return True
        return False

    async def _reads(
        self, id: str, within: timedelta, *, urgent: bool
    ) -> AsyncIterator[Resource | None]:
        """Read a container again and again, at least once, and once at the very end."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + within.total_seconds()
        pause = self._timing.first_check.total_seconds()
        while True:
            late = clock() >= deadline
            yield await self._reader.find(id, urgent=urgent)
            if late:
                return
            await asyncio.sleep(min(pause, max(deadline - clock(), 0)))
            pause = min(pause * 2, self._timing.longest_check.total_seconds())


def _signal(resource: Resource) -> str:
    return (resource.container and resource.container.stop_signal) or _DEFAULT_SIGNAL


def _refuse_killing(resource: Resource) -> None:
    """Refuse a graceful stop of a container whose stop signal is a kill.

    Raises:
        CapabilityMissingError: the stop signal is SIGKILL.
    """
    if _signal(resource).upper().removeprefix("SIG") in {"KILL", "9"}:
        raise CapabilityMissingError(
            "a graceful stop of a container whose own stop signal is SIGKILL",
            driver=ENGINE,
            hint="use mode GRACEFUL_THEN_FORCE or FORCE",
        )


def _asked(signal: str, within: timedelta) -> str:
    return f"{signal} sent, waiting up to {within.total_seconds():g} s"


def _grace(resource: Resource, wanted: timedelta | None) -> timedelta:
    if wanted is not None:
        return wanted
    spec = resource.container and resource.container.spec
    own = spec.stop_timeout if spec else None
    if own is None:
        return DEFAULT_GRACE
    # Docker takes less than 0 for "for ever"; a stop waits no longer than a request may ask for.
    return GRACE_LIMIT if own < timedelta(0) else min(own, GRACE_LIMIT)
