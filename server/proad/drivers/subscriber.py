"""The receiving end of one subscription to a driver's events."""

import asyncio
from typing import Never

from proad.errors import EngineUnreachableError
from proad.model import EngineEvent
from proad.ports import OnEvent


class Subscriber:
    """Calls one subscription's `on_event`, and fails its future when events may be missing.

    Use on the event loop only.

    Attributes:
        lost: the future of `ports.Driver.subscribe`.
    """

    def __init__(self, on_event: OnEvent) -> None:
        self.lost: asyncio.Future[Never] = asyncio.get_running_loop().create_future()
        # Retrieve the exception, since nobody may be waiting for the future any more.
        self.lost.add_done_callback(lambda lost: lost.cancelled() or lost.exception())
        self._on_event = on_event
        self._ended = False

    def publish(self, event: EngineEvent) -> None:
        """Call `on_event`. An exception of it ends the subscription, not its caller."""
        if self._ended:
            return
        try:
            self._on_event(event)
        except Exception as error:  # noqa: BLE001 - handed to whoever awaits `lost`
            self._fail(error)

    def lose(self, error: EngineUnreachableError) -> None:
        """End the subscription because events may be missing from here on."""
        self._fail(error)

    def close(self) -> None:
        """End the subscription. No event comes after this."""
        self._ended = True
        self.lost.cancel()

    def _fail(self, error: Exception) -> None:
        self._ended = True
        if not self.lost.done():
            self.lost.set_exception(error)
