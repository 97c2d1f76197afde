"""Stop and restart of imitated workloads."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from proad.drivers.memory.connection import NAME
from proad.drivers.memory.engine import FROZEN, ImitatedEngine
from proad.drivers.memory.timing import MemoryTiming
from proad.drivers.memory.views import on_machine
from proad.drivers.memory.workload import Workload
from proad.errors import CapabilityMissingError, StopTimedOutError
from proad.model import (
    Lifetime,
    Resource,
    ResourceKind,
    ResourceState,
    ResourceView,
    RestartMode,
    RestartOptions,
    StateReason,
    StopMode,
    StopOptions,
    Verb,
)
from proad.ports import OnStep

_KILLING = "killing"


class MemoryStopper:
    """Stops and restarts workloads."""

    def __init__(self, engine: ImitatedEngine, timing: MemoryTiming) -> None:
        self._engine = engine
        self._timing = timing

    async def stop(self, id: str, options: StopOptions, on_step: OnStep) -> Resource:
        """Stop a workload, in the way that its labels allow."""
        workload = self._engine.workload(id)
        mode = options.mode or StopMode(_usual_mode(workload))
        if mode is StopMode.SAVE:
            self._engine.domain(id, "stop mode SAVE")
        self._engine.permit(Verb.STOP, workload)
        if mode is StopMode.FORCE:
            on_step(_KILLING, None)
            self._engine.kill(workload)
        elif mode is StopMode.SAVE:
            if workload.resource.lifetime is Lifetime.TRANSIENT:
                raise CapabilityMissingError(
                    "saving a TRANSIENT domain",
                    driver=NAME,
                    hint="it is gone once it stops; PauseResource keeps its memory",
                )
            self._engine.enter(workload, ResourceState.SAVED)
        else:
            force = self._engine.kill if mode is StopMode.GRACEFUL_THEN_FORCE else None
            await self._ask(workload, options.grace_period, self._shut_down, force, on_step)
        return workload.shown(ResourceView.SUMMARY)

    async def restart(self, id: str, options: RestartOptions, on_step: OnStep) -> Resource:
        """Restart a workload; raise if somebody else stops it meanwhile."""
        workload = self._engine.workload(id)
        self._engine.permit(Verb.RESTART, workload)
        mode = options.mode or RestartMode(_usual_mode(workload))
        if mode is RestartMode.FORCE:
            on_step(_KILLING, None)
            self._reboot(workload)
        else:
            force = self._reboot if mode is RestartMode.GRACEFUL_THEN_FORCE else None
            await self._ask(workload, options.grace_period, self._reboot, force, on_step)
            if workload.run is None:
                self._engine.permit(Verb.RESTART, workload)
        return workload.shown(ResourceView.SUMMARY)

    async def _ask(
        self,
        workload: Workload,
        grace: timedelta | None,
        follow: Callable[[Workload], None],
        force: Callable[[Workload], None] | None,
        on_step: OnStep,
    ) -> None:
        """Ask a workload to `follow`; after the grace period call `force`, or raise."""
        if workload.resource.state in FROZEN:  # it could not react
            self._engine.enter(workload, ResourceState.RUNNING)
        over = workload.over

        def react() -> None:
            if not over.is_set() and workload.resource.state not in FROZEN:
                follow(workload)

        if not workload.behaviour.ignores_stop:
            asyncio.get_running_loop().call_later(workload.behaviour.stop_after, react)
        if grace is None:
            grace = self._usual_grace(workload)
        on_step(f"asked, waiting up to {grace.total_seconds():g} s", None)
        if await self._engine.connection.wait(over, grace):
            return
        if force is None:
            raise StopTimedOutError(workload.resource.name, grace)
        on_step(_KILLING, None)
        force(workload)

    def _usual_grace(self, workload: Workload) -> timedelta:
        container = workload.resource.container
        if container is None:
            return self._timing.domain_grace
        own = container.spec.stop_timeout if container.spec else None
        return self._timing.container_grace if own is None else own

    def _shut_down(self, workload: Workload) -> None:
        self._engine.enter(workload, ResourceState.STOPPED, StateReason.COMPLETED)

    def _reboot(self, workload: Workload) -> None:
        workload.over.set()
        machine = workload.run.machine if workload.run else None
        # Without STOPPED in between: a TRANSIENT workload survives its restart.
        self._engine.end_run(workload)
        self._engine.start(workload)
        workload.run = on_machine(workload.run, machine)  # a reboot changes no size of a domain


def _usual_mode(workload: Workload) -> str:
    container = workload.resource.kind is ResourceKind.CONTAINER
    return StopMode.GRACEFUL_THEN_FORCE if container else StopMode.GRACEFUL
