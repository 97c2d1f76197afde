"""What plays the contract's example of each reason."""

from collections.abc import Awaitable, Callable
from typing import Any

from proad.errors import Reason

EXAMPLES: dict[Reason, tuple[str, Callable[..., Awaitable[Any]]]] = {}


def example(text):
    """Register what plays an example: it gives the call that fails, or its refusal."""

    def register(play):
        reason = Reason(play.__name__.upper())
        EXAMPLES[reason] = (text, play)
        return play

    return register
