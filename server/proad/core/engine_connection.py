"""A driver in use: on which host, and whether its engine answers."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TypeVar

import structlog

from proad.errors import EngineTimedOutError, EngineUnreachableError, ProaError
from proad.model import EngineHealth, EngineInfo
from proad.ports import Driver

T = TypeVar("T")

_log = structlog.get_logger(__name__)

PROBE_EVERY = 1.5
# After the first failure; twice as long after each further one, up to the limit. A probe of a
# lost engine may start a program, or knock at another host's door.
PROBE_EVERY_WHILE_LOST = 0.5
PROBE_PAUSE_LIMIT = 5.0
PROBE_TIMEOUT = 2.5

# After those any pause is at its limit; of a year's failures there are more than a float holds.
_MOST_DOUBLINGS = 16
_FAULT = "the probe failed; see the log"


class EngineConnection:
    """One driver on one host connection.

    It probes the engine all the time, so that a call to an engine that is known to be
    gone fails at once, and a read that waits for one that hangs fails as soon as the
    probe has found out: within 5 s.
    """

    def __init__(self, host: str, driver: Driver) -> None:
        self.host = host
        self.driver = driver
        self.info = EngineInfo(version="")
        self.health: EngineHealth | None = None
        self.health_change_time: datetime | None = None
        self.health_message = ""
        self.last_sync_time: datetime | None = None
        self._failures = 0
        self._lost = asyncio.Event()
        self._serving = asyncio.Event()
        self._probe_now = asyncio.Event()
        self._watchers: list[Callable[[], Awaitable[None]]] = []

    @property
    def name(self) -> str:
        """HOST/DRIVER, as `unreachable` names it."""
        return f"{self.host}/{self.driver.name}"

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
        """Find out at once whether the engine still answers."""
        self._probe_now.set()

    def on_health_change(self, watcher: Callable[[], Awaitable[None]]) -> None:
        """Have `watcher` called after each change of health."""
        self._watchers.append(watcher)

    async def read(self, question: Callable[[], Awaitable[T]]) -> T:
        """Ask something that changes nothing; give up as soon as the engine is lost."""
        if self._lost.is_set():
            raise self.unreachable()
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
            # Retrieved, so that an answer nobody waits for does not warn.
            with suppress(asyncio.CancelledError, ProaError):
                await answer

    @contextmanager
    def call(self) -> Iterator[None]:
        """Guard a call to the driver that changes something.

        Raises:
            EngineUnreachableError: the engine is known to be lost; the block is not entered.
        """
        if self._lost.is_set():
            raise self.unreachable()
        with self._probing_after_loss():
            yield

    async def supervise(self) -> None:
        """Probe the engine for ever."""
        while True:
            await self.probe()
            self._probe_now.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._probe_now.wait(), self.pause)

    @property
    def pause(self) -> float:
        """Seconds until the next probe, if nobody wants one before."""
        if not self._failures:
            return PROBE_EVERY
        doublings = min(self._failures - 1, _MOST_DOUBLINGS)
        return min(PROBE_EVERY_WHILE_LOST * 2.0**doublings, PROBE_PAUSE_LIMIT)

    async def probe(self) -> None:
        """Find out whether the engine answers."""
        try:
            async with asyncio.timeout(PROBE_TIMEOUT):
                self.info = await self.driver.probe()
        except TimeoutError:
            await self._set(EngineHealth.UNREACHABLE, "it does not answer")
        except EngineUnreachableError as error:
            await self._set(EngineHealth.UNREACHABLE, error.cause)
        except ProaError as error:
            await self._set(EngineHealth.UNREACHABLE, error.message)
        except Exception:  # noqa: BLE001 - a probe outlives any fault of a driver
            if self.health_message != _FAULT:
                _log.exception("probe failed", engine=self.name)
            await self._set(EngineHealth.UNREACHABLE, _FAULT)
        else:
            await self._set(EngineHealth.SERVING, "")

    @contextmanager
    def _probing_after_loss(self) -> Iterator[None]:
        """Probe the engine at once after a call that it did not answer."""
        try:
            yield
        except (EngineUnreachableError, EngineTimedOutError) as error:
            error.metadata["host"] = self.host
            self.probe_soon()
            raise

    async def _set(self, health: EngineHealth, message: str) -> None:
        changed = health is not self.health
        self.health, self.health_message = health, message
        if health is EngineHealth.SERVING:
            self._failures = 0
            self._lost.clear()
            self._serving.set()
        else:
            self._failures += 1
            self._serving.clear()
            self._lost.set()
        if not changed:
            return
        self.health_change_time = datetime.now(UTC)
        if health is EngineHealth.SERVING:
            _log.info("engine answers", engine=self.name, version=self.info.version)
        else:
            _log.warning("engine lost", engine=self.name, cause=message)
        for watcher in self._watchers:
            try:
                await watcher()
            except Exception:  # noqa: BLE001 - the engine is probed on, whoever was to hear of it
                _log.exception("health watcher failed", engine=self.name)

    def unreachable(self, why: str = "") -> EngineUnreachableError:
        """Make the error of an engine that does not answer, by default that is known to be gone."""
        return EngineUnreachableError(self.driver.name, why or self.health_message).on(self.host)
