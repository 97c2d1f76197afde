"""Following one engine: subscribe, list, apply."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import structlog

from proad.core.inventory.looks import Looks
from proad.core.inventory.picture import Picture
from proad.core.link import Link
from proad.errors import EngineUnreachableError, ProaError
from proad.model import EngineEvent, Gap, GapKind

_log = structlog.get_logger(__name__)

COMPARE_EVERY = 60.0
"""Seconds between two lists that only make sure that no event was missed."""
READY_WITHIN = 10.0
"""Seconds that a read waits for an engine that answers to be read anew."""
_BACK_OFF = (0.05, 0.2, 0.5, 1.0, 2.0)
_SETTLES_WITHIN = 1.0


class Mirror(Looks):
    """Keeps the picture of one engine's resources true: it looks where the engine says that
    something happened, and compares all that there is whenever it cannot know.

    Args:
        link: the engine.
        picture: what is kept.
    """

    def __init__(self, link: Link, picture: Picture) -> None:
        super().__init__(link, picture)
        self._synced = asyncio.Event()
        self._lost_once = False

    @property
    def synced(self) -> bool:
        """Whether the picture is true now."""
        return self._synced.is_set() and not self.link.lost

    async def ready(self) -> None:
        """Wait until the picture is true.

        Raises:
            EngineUnreachableError: the engine does not answer.
        """
        if self.synced:
            return
        try:
            async with asyncio.timeout(READY_WITHIN):
                while not self.synced:
                    await self.link.read(self._synced.wait)
                    await asyncio.sleep(0)
        except TimeoutError:
            raise EngineUnreachableError(
                self.link.driver.name, "its resources could not be read"
            ) from None

    async def follow(self) -> None:
        """Follow the engine for ever."""
        failures = 0
        while True:
            await self.link.serving()
            try:
                async with self.link.driver.subscribe() as events:
                    await self._compare(after_loss=True)
                    failures = 0
                    await self._hear(events)
            except ProaError as error:
                self._lose(error.message)
            except Exception as error:  # noqa: BLE001 - one fault of a driver must not end it all
                _log.exception("following failed", engine=self.link.name)
                self._lose(f"fault: {type(error).__name__}")
            finally:
                self._synced.clear()
            self.link.probe_soon()
            await asyncio.sleep(_BACK_OFF[min(failures, len(_BACK_OFF) - 1)])
            failures += 1

    async def _hear(self, events: AsyncIterator[EngineEvent]) -> None:
        async def listen() -> None:
            async for event in events:
                self.hint(event)
            raise EngineUnreachableError(self.link.driver.name, "the stream of events ended")

        listening = asyncio.ensure_future(listen())
        lost = asyncio.ensure_future(self.link.wait_lost())
        try:
            while True:
                either: set[asyncio.Future[None]] = {listening, lost}
                await asyncio.wait(
                    either, timeout=COMPARE_EVERY, return_when=asyncio.FIRST_COMPLETED
                )
                if listening.done():
                    listening.result()
                if lost.done():
                    raise EngineUnreachableError(self.link.driver.name, self.link.health_message)
                await self._compare(after_loss=False)
        finally:
            lost.cancel()
            listening.cancel()
            await asyncio.wait({listening, lost})
            if not listening.cancelled():
                listening.exception()

    async def _compare(self, *, after_loss: bool) -> None:
        """Read all resources and take what differs."""
        touched = self._touched = set()
        try:
            found = await self.link.read(self.link.driver.list_resources)
        finally:
            self._touched = None
        before = self._picture.journal.revision
        name, host = self.link.name, self.link.host
        ids = {seen.id for seen in found}
        for known in list(self._picture.of(name)):
            if known.seen.id not in ids | touched:
                self._picture.remove(name, known.seen.id)
        for seen in found:
            if seen.id not in touched:
                self._picture.put(name, host, seen)
        if after_loss:
            # Details may have changed without an event that we heard.
            for known in self._picture.of(name):
                known.drop_detail()
                if self._lost_once and known.last_detail is not None:
                    # Somebody may hold an etag for what they were shown of it.
                    self._hint(EngineEvent(id=known.seen.id, reconfigured=True))
                    touched.add(known.seen.id)
        # What happened in between, the list may show or not; nor does it show details.
        looks = [self._looking[id] for id in touched if id in self._looking]
        if looks and after_loss:
            await asyncio.wait(looks, timeout=_SETTLES_WITHIN)
        self.link.last_sync_time = datetime.now(UTC)
        differs = self._picture.journal.revision != before
        if (after_loss and self._lost_once) or (not after_loss and differs):
            message = "" if after_loss else "changes were found that the engine had not told of"
            self._note(GapKind.ENGINE_RESYNCED, message)
        self._synced.set()

    def _lose(self, message: str) -> None:
        if self._synced.is_set():
            self._synced.clear()
            self._lost_once = True
            self._note(GapKind.ENGINE_LOST, message)
            _log.info("events lost", engine=self.link.name, message=message)

    def _note(self, kind: GapKind, message: str) -> None:
        self._picture.journal.note(Gap(kind=kind, engine=self.link.name, message=message))
