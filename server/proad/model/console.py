"""Consoles of resources that callers attach to."""

from dataclasses import dataclass

from proad.model.command import TerminalSize


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleOptions:
    """How to attach to a console.

    Attributes:
        stdin: whether to be connected to its input; None: where it takes any.
        size: the size of the caller's terminal; None: leave that of the console.
        exclusive: whether to refuse others meanwhile, and to be refused where others are attached.
        force: whether to end what others have attached.
    """

    stdin: bool | None = None
    size: TerminalSize | None = None
    exclusive: bool = False
    force: bool = False
