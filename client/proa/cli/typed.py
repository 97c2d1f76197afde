"""The command that was typed, for those that tell of its failure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import typer

_CURRENT = "proa.cli.typed"


@dataclass(frozen=True)
class Typed:
    """A command and what was typed after it.

    Attributes:
        command: the command, such as "snapshot revert".
        name: the id or name that it is about; empty: none.
        given: the values of its parameters, without those that are empty.
        options: how the parameters are typed: "--memory" for "memory"; an argument that is
            not what the command is about by what its help calls it, such as CMD.
        target: the daemon.
        tls: whether it is called with TLS.
    """

    command: str = ""
    name: str = ""
    given: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    target: str = ""
    tls: bool = False

    @classmethod
    def of(cls, ctx: typer.Context, target: str, *, tls: bool) -> "Typed":
        """Read what was typed; `last` gives it when the command has failed."""
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
            str(one.name): _as_typed(one)
            for one in ctx.command.params
            if one.name not in {"id", "ids", "names"}
        }
        typed = cls(" ".join(names), subject, given, options, target, tls)
        ctx.find_root().meta[_CURRENT] = typed
        return typed

    @classmethod
    def last(cls, ctx: typer.Context) -> "Typed":
        """Give what was typed last; empty if no command began."""
        kept: Typed | None = ctx.find_root().meta.get(_CURRENT)
        return kept or cls()

    def about(self, name: str) -> "Typed":
        """Give the same for one of several ids; what else there may be several of is no id."""
        return self if "id" in self.given else replace(self, name=name)


def _as_typed(parameter: Any) -> str:
    option: str = max(parameter.opts, key=len)
    if option.startswith("-"):
        return option
    # Help has "[[POOL/]NAME...]" for what may be left out or be there several times.
    return re.sub(r"[\[\]]|\.\.\.", "", parameter.metavar or option.upper())
