"""The command line as typed, for messages about its failure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import typer

_CURRENT = "proa.cli.invocation"


@dataclass(frozen=True)
class Invocation:
    """A command with its arguments.

    Attributes:
        command: the command, such as "snapshot revert".
        name: id or name of its subject; empty without one.
        given: the values of its parameters, without empty ones.
        options: the spelling of its parameters: "--memory" for "memory"; for an argument other
            than the subject its name in the help text, such as CMD.
        target: address of the daemon.
        tls: whether the daemon is called with TLS.
    """

    command: str = ""
    name: str = ""
    given: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    target: str = ""
    tls: bool = False

    @classmethod
    def of(cls, ctx: typer.Context, target: str, *, tls: bool) -> "Invocation":
        """Record and return the invocation of a command; `last` returns it after a failure."""
        names: list[str] = []
        above: Any = ctx
        while above is not None and above.parent is not None:
            names.insert(0, above.command.name or "")
            above = above.parent
        given = {name: value for name, value in ctx.params.items() if value}
        keys = [key for key in ("id", "ids", "names", "name") if key in given]
        subject = given[keys[0]] if keys else ""
        if not isinstance(subject, str):
            subject = subject[0] if len(subject) == 1 else ""
        options = {
            str(parameter.name): _spelling(parameter)
            for parameter in ctx.command.params
            if parameter.name not in {"id", "ids", "names"}
        }
        invocation = cls(" ".join(names), subject, given, options, target, tls)
        ctx.find_root().meta[_CURRENT] = invocation
        return invocation

    @classmethod
    def last(cls, ctx: typer.Context) -> "Invocation":
        """Return the last recorded invocation; an empty one if no command began."""
        kept: Invocation | None = ctx.find_root().meta.get(_CURRENT)
        return kept or cls()

    def about(self, name: str) -> "Invocation":
        """Return the invocation for one of several ids."""
        return self if "id" in self.given else replace(self, name=name)


def _spelling(parameter: Any) -> str:
    option: str = max(parameter.opts, key=len)
    if option.startswith("-"):
        return option
    # In the help text, "[[POOL/]NAME...]" marks an optional or repeated argument.
    return re.sub(r"[\[\]]|\.\.\.", "", parameter.metavar or option.upper())
