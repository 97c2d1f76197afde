"""Whether a client may make a call."""

from collections.abc import Callable


class CallCheck:
    """Checks the calls of a client, of which there are none once it is closed.

    gRPC would end the whole process for a call on a closed channel, or with asyncio raise an error
    of its inside.

    Args:
        check: raises ValueError for a method that must not be called on the channel.
    """

    def __init__(self, check: Callable[[str], None]) -> None:
        self._check = check
        self._is_closed = False

    def __call__(self, method: str) -> None:
        """Check that a method may be called.

        Raises:
            ValueError: it may not.
        """
        if self._is_closed:
            raise ValueError("the client is closed")
        self._check(method)

    def close(self) -> None:
        """Let no call be made from now on."""
        self._is_closed = True
