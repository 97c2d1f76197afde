"""A driver in use: on which host, and whether its engine answers."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import structlog

from proad.errors import EngineTimedOutError, EngineUnreachableError, ProaError
from proad.model import Action, EngineHealth, EngineInfo, EngineRef, Intent
from proad.ports import Driver

T = TypeVar("T")

_log = structlog.get_logger(__name__)

# After so many failures any interval is at its limit; a year has more than a float can hold.
_MOST_DOUBLINGS = 16
_FAULT = "the probe failed; see the log"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeTiming:
    """Durations of probing an engine, in seconds.

    A probe of a lost engine may start a program, or open a connection to another host, so the
    interval grows with each failure.

    Attributes:
        probe_interval: time between two probes of an engine that answers.
        first_lost_interval: time from the first failed probe to the next; doubled after each
            further failure.
        longest_lost_interval: upper bound of that time.
        probe_timeout: time after which a probe has failed.
    """

    probe_interval: float = 1.5
    first_lost_interval: float = 0.5
    longest_lost_interval: float = 5.0
    probe_timeout: float = 2.5


class EngineConnection:
    """One driver on one host connection.

    The engine is probed all the time, so that a call to an engine that is known to be lost
    fails at once, and a read that waits for a hung engine fails as soon as a probe has found
    out: within 5 s.

    Args:
        host: name of the host connection.
        driver: the driver.
        timing: durations.

    Attributes:
        ref: name of the engine.
        info: what the engine said of itself last.
        health: whether the engine answers; None: not probed yet.
        health_change_time: when `health` changed last.
        health_message: why the engine does not answer; empty if it does.
        last_sync_time: when the inventory last had all resources of the engine.
    """

    def __init__(self, host: str, driver: Driver, timing: ProbeTiming = ProbeTiming()) -> None:
        self.ref = EngineRef(host, driver.name)
        self.driver = driver
        self.info = EngineInfo(version="")
        self.health: EngineHealth | None = None
        self.health_change_time: datetime | None = None
        self.health_message = ""
        self.last_sync_time: datetime | None = None
        self._timing = timing
        self._failures = 0
        self._lost = asyncio.Event()
        self._serving = asyncio.Event()
        self._probe_now = asyncio.Event()
        self._watchers: list[Callable[[], Awaitable[None]]] = []

    @property
    def lost(self) -> bool:
        """Whether the engine is known not to answer."""
        return self._lost.is_set()

    async def wait_lost(self) -> None:
        """Wait until the engine does not answer."""
        await self._lost.wait()

    async def serving(self) -> None:
        """Wait until the engine answers."""
        await self._serving.wait()

    def probe_soon(self) -> None:
        """Probe the engine at once instead of after the interval."""
        self._probe_now.set()

    def on_health_change(self, watcher: Callable[[], Awaitable[None]]) -> None:
        """Call `watcher` after each change of health."""
        self._watchers.append(watcher)

    async def read(self, question: Callable[[], Awaitable[T]]) -> T:
        """Await a call to the driver that changes nothing, and give up once the engine is lost.

        Raises:
            EngineUnreachableError: the engine is lost.
        """
        self.check()
        answer = asyncio.ensure_future(question())
        lost = asyncio.ensure_future(self._lost.wait())
        try:
            await asyncio.wait({answer, lost}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                raise self.unreachable()
            with self._probing_after_loss():
                return await answer
        finally:
            lost.cancel()
            answer.cancel()
            # Retrieve the result: asyncio would log an exception that nobody retrieves.
            with suppress(asyncio.CancelledError, ProaError):
                await answer

    def intent(self, action: Action, *, name: str = "", pool: str = "") -> Intent:
        """Return the intent of a change on this engine that is about no resource yet."""
        return Intent(
            action=action, host=self.ref.host, driver=self.ref.driver, name=name, pool=pool
        )

    def check(self) -> None:
        """Check that the engine is not known to be lost.

        Raises:
            EngineUnreachableError: the engine is lost.
        """
        if self._lost.is_set():
            raise self.unreachable()

    @contextmanager
    def call(self) -> Iterator[None]:
        """Guard a call to the driver that changes something.

        Raises:
            EngineUnreachableError: the engine is known to be lost; the block is not entered.
        """
        self.check()
        with self._probing_after_loss():
            yield

    async def supervise(self) -> None:
        """Probe the engine for ever."""
        while True:
            await self.probe()
            self._probe_now.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._probe_now.wait(), self.probe_interval)

    @property
    def probe_interval(self) -> float:
        """Seconds until the next probe, if nobody wants one earlier."""
        timing = self._timing
        if not self._failures:
            return timing.probe_interval
        doublings = min(self._failures - 1, _MOST_DOUBLINGS)
        return min(timing.first_lost_interval * 2.0**doublings, timing.longest_lost_interval)

    async def probe(self) -> None:
        """Find out whether the engine answers."""
        try:
            async with asyncio.timeout(self._timing.probe_timeout):
                self.info = await self.driver.probe()
        except TimeoutError:
            await self._set(EngineHealth.UNREACHABLE, "it does not answer")
        except EngineUnreachableError as error:
            await self._set(EngineHealth.UNREACHABLE, error.cause)
        except ProaError as error:
            await self._set(EngineHealth.UNREACHABLE, error.message)
        except Exception:  # noqa: BLE001 - a fault of a driver must not end the probing
            if self.health_message != _FAULT:
                _log.exception("probe failed", engine=str(self.ref))
            await self._set(EngineHealth.UNREACHABLE, _FAULT)
        else:
            await self._set(EngineHealth.SERVING, "")

    def unreachable(self, why: str = "") -> EngineUnreachableError:
        """Return the error of an engine that does not answer.

        Args:
            why: the cause; empty: `health_message`.
        """
        return EngineUnreachableError(self.driver.name, why or self.health_message).on(
            self.ref.host
        )

    @contextmanager
    def _probing_after_loss(self) -> Iterator[None]:
        """Probe the engine at once after a call that it did not answer."""
        try:
            yield
        except (EngineUnreachableError, EngineTimedOutError) as error:
            error.metadata["host"] = self.ref.host
            self.probe_soon()
            raise

    async def _set(self, health: EngineHealth, message: str) -> None:
        changed = health is not self.health
        another_cause = message != self.health_message
        self.health, self.health_message = health, message
        if health is EngineHealth.SERVING:
            self._failures = 0
            self._lost.clear()
            self._serving.set()
        else:
            self._failures += 1
            self._serving.clear()
            self._lost.set()
        if health is EngineHealth.UNREACHABLE and (changed or another_cause):
            # What keeps an engine away may change: first it is down, then its version is unknown.
            _log.warning("engine lost", engine=str(self.ref), cause=message)
        if not changed:
            return
        self.health_change_time = datetime.now(UTC)
        if health is EngineHealth.SERVING:
            _log.info("engine answers", engine=str(self.ref), version=self.info.version)
        for watcher in self._watchers:
            try:
                await watcher()
            except Exception:  # noqa: BLE001 - a fault of a watcher must not end the probing
                _log.exception("health watcher failed", engine=str(self.ref))
