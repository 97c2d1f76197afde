"""Connections to peers inside resources, which end with what runs there."""

import asyncio
from abc import ABC, abstractmethod

from proad.errors import ProaError

# Seconds of silence after which what a peer has sent that is gone has come.
_LAST_WORDS = 1.0


class PeerConnection(ABC):
    """A connection; see `ports.PortConnection`.

    Args:
        address: what it leads to, for people.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._failure: ProaError | None = None
        self._reading: asyncio.Timeout | None = None
        self._is_over = False
        self._gone = asyncio.Event()

    async def read(self) -> bytes:
        """Return what the peer sends next."""
        try:
            async with asyncio.timeout(None) as self._reading:
                if self._failure is not None:
                    self._reading.reschedule(_last_words())
                data = await self._receive()
        except TimeoutError:
            data = b""
        except OSError as error:
            raise self._failure or self._failed(error) from None
        finally:
            self._reading = None
        if not data:
            self._is_over = True
            if self._failure is not None:
                raise self._failure
        return data

    async def write(self, data: bytes) -> None:
        """Send to the peer."""
        if self._failure is not None:
            if self._is_over:
                raise self._failure
            return  # it is gone, and what it said last is still to be read
        try:
            await self._send(data)
        except OSError as error:
            raise self._failure or self._failed(error) from None

    @abstractmethod
    def end_input(self) -> None:
        """End the own side."""

    async def stopped(self) -> None:
        """Wait until the peer has gone."""
        await self._gone.wait()
        if self._failure is not None:
            raise self._failure

    def fail(self, failure: ProaError) -> None:
        """Note that the peer has gone: who has read what it said last gets `failure`."""
        self._failure = failure
        self._gone.set()
        if self._reading is not None:
            self._reading.reschedule(_last_words())

    @abstractmethod
    async def _receive(self) -> bytes:
        """Return what comes next, at most 64 KiB; nothing at the end.

        Raises:
            OSError: the connection broke.
        """

    @abstractmethod
    async def _send(self, data: bytes) -> None:
        """Send, and wait while the peer does not read.

        Raises:
            OSError: the connection broke.
        """

    @abstractmethod
    def _failed(self, error: OSError) -> ProaError:
        """Return the error of a connection that broke."""


def _last_words() -> float:
    """Return until when something must come of a peer that has gone."""
    return asyncio.get_running_loop().time() + _LAST_WORDS
