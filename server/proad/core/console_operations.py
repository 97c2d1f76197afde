"""Consoles that callers attach to, and who has which."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from proad.core.beside import beside
from proad.core.entrance import Entrance
from proad.errors import ConsoleTakenError, InUseError
from proad.model import Action, ConsoleOptions
from proad.ports import Console, Consoles


class _Seat:
    """The place of one caller at a console.

    Attributes:
        exclusive: whether there is no other one.
        taken: set once another caller has taken the console over.
    """

    def __init__(self, *, exclusive: bool) -> None:
        self.exclusive = exclusive
        self.taken = asyncio.Event()


class ConsoleOperations:
    """Attaches callers to consoles.

    Errors are those of `Entrance.enter` and of the port.

    Args:
        entrance: admits callers into resources.
    """

    def __init__(self, entrance: Entrance) -> None:
        self._entrance = entrance
        self._seats: dict[tuple[object, str], set[_Seat]] = {}

    @asynccontextmanager
    async def attached(self, ref: str, options: ConsoleOptions) -> AsyncIterator[Console]:
        """Attach to the console of a resource while the block runs.

        Args:
            ref: what the caller wrote for the resource.
            options: how.

        Raises:
            InUseError: it, or another caller of this daemon, excludes others.
            ConsoleTakenError: another caller has taken it over.
        """
        async with self._entrance.enter(ref, Consoles, Action.ATTACH) as entered:
            key = (entered.connection.ref, entered.id)
            with self._seated(key, ref, options) as seat:
                async with (
                    beside(_until_taken(seat, ref)),
                    entered.driver.attach(entered.id, options) as console,
                ):
                    yield console

    @contextmanager
    def _seated(
        self, key: tuple[object, str], ref: str, options: ConsoleOptions
    ) -> Iterator[_Seat]:
        """Give a caller a place at a console while the block runs."""
        seats = self._seats.setdefault(key, set())
        others = [other for other in seats if not other.taken.is_set()]
        if options.force:
            for other in others:
                other.taken.set()
        elif others and (options.exclusive or any(other.exclusive for other in others)):
            raise InUseError.of_console(ref)
        seat = _Seat(exclusive=options.exclusive)
        seats.add(seat)
        try:
            yield seat
        finally:
            seats.discard(seat)
            if not seats and self._seats.get(key) is seats:
                del self._seats[key]


async def _until_taken(seat: _Seat, ref: str) -> None:
    """Return never: raise once the console is taken over."""
    await seat.taken.wait()
    raise ConsoleTakenError(ref)
