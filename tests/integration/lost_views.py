"""FULL views that are asked for all the time while their engine goes and comes back."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import grpc
import pytest

from eventually import eventually
from proa import v1
from proad.config import Settings
from proad.model import Access
from proad.ports import Driver
from relaxed_policy import RELAXED
from rpc.daemon import Daemon, Refusal, running
from rpc.tenants import tenant

GENEROUS = 90
UNREACHABLE = {"ENGINE_UNREACHABLE", "ENGINE_TIMED_OUT"}

each_loss = pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP], ids=lambda number: number.name
)


class Engine(Protocol):
    """A private engine."""

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""

    def start(self) -> None:
        """Start it."""


@asynccontextmanager
async def serving(folder: Path, driver: Driver) -> AsyncIterator[Daemon]:
    """Serve an engine to a user who may see all of it."""
    state = folder / "state"
    state.mkdir(mode=0o700)
    values: dict[str, Any] = {"listen": "127.0.0.1:0", "drain_timeout": "5s", "policy": RELAXED}
    async with running(Settings(state_dir=state, **values), [("local", driver)]) as daemon:
        await tenant(daemon, "ann", Access.ALL)
        yield daemon


async def check_views(
    daemon: Daemon,
    id: str,
    engine: Engine,
    number: signal.Signals,
    *,
    told: Callable[[v1.Resource], str],
    whole: str,
) -> None:
    """Check that each view is whole or refused, and that they are whole again.

    Args:
        daemon: the daemon.
        id: of the resource.
        engine: its engine, which gets the signal and comes back.
        number: the signal.
        told: returns what a view tells, which is something that the engine alone knows.
        whole: what a view tells that is whole.
    """
    found: list[str] = []

    async def look() -> str:
        """Return what a view tells, or why there is none."""
        try:
            async with asyncio.timeout(GENEROUS):
                return told((await daemon.call("GetResource", id=id)).resource)
        except grpc.aio.AioRpcError as error:
            return str(Refusal.of(error).reason)

    async def keep_looking() -> None:
        while True:
            found.append(await look())

    async def has_found(what: set[str]) -> None:
        count = len(found)
        await eventually(lambda: bool(what & {*found[count:]}), within=GENEROUS)

    async def is_whole() -> bool:
        return await look() == whole

    await eventually(is_whole, within=GENEROUS)
    async with asyncio.TaskGroup() as group:
        looking = [group.create_task(keep_looking()) for _ in range(4)]
        await has_found({whole})
        engine.signal(number)
        await has_found(UNREACHABLE)
        if number is signal.SIGSTOP:
            engine.signal(signal.SIGCONT)
        else:
            engine.start()
        await has_found({whole})
        for each in looking:
            each.cancel()
    assert {*found} <= {whole} | UNREACHABLE
