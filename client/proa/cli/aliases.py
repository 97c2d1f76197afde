"""Commands that users of docker, kubectl and virsh expect: aliases, and commands that are missing."""

from collections.abc import Callable, Mapping

import typer

import proa
from proa import v1
from proa.cli.exits import Exit
from proa.cli.output import write_json, write_line
from proa.cli.session import Output, Session

ALIASES: Mapping[str, str] = {
    "ps": "ls",
    "list": "ls",
    "inspect": "get",
    "events": "watch",
    "stats": "top",
    "info": "host",
    "unpause": "resume",
}
"""Commands by alias."""

# Missing commands, with the engines' own in their place.
_MISSING: Mapping[str, str] = {
    "network": "docker network, or virsh net-list and the like for virtual machines",
}


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("version")(version)
    for name, instead in _MISSING.items():
        settings = {"ignore_unknown_options": True, "allow_extra_args": True}
        app.command(name, hidden=True, context_settings=settings)(_missing(name, instead))


def aliases() -> str:
    """Return the aliases, as `proa --help` shows them."""
    names = ", ".join(f"{other} is {command}" for other, command in ALIASES.items())
    return f"Other names: {names}."


def version(ctx: typer.Context, output: Output = None) -> None:
    """Print the versions of this client and of the daemon."""
    session = Session.of(ctx, output)
    if not session.as_json:
        write_line(f"proa {proa.__version__}")
    with session.connect() as client:
        daemon = client.server.GetServerInfo(v1.GetServerInfoRequest()).server.version
    if session.as_json:
        write_json({"client": proa.__version__, "daemon": daemon}, indent=2)
    else:
        write_line(f"proad {daemon} at {session.target}")


def _missing(name: str, instead: str) -> Callable[[], None]:
    """Return a command that names its replacement, and fails."""

    def command() -> None:
        """Not there yet; says what to use instead."""
        write_line(f"Error: proa has no {name} yet; on the host: {instead}", err=True)
        raise typer.Exit(Exit.USAGE)

    return command
