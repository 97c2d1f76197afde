"""What users of docker, kubectl and virsh type: other names of our commands, and what we lack."""

import shlex
from collections.abc import Callable, Mapping, Sequence

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
"""Commands by their other names."""

# A name stands for "{}"; engines' own tools have these as long as we have not.
_LACKING: Mapping[str, str] = {
    "logs": "docker logs {}, or virsh console {} for a virtual machine",
    "exec": "docker exec -it {} COMMAND, or virsh console {} for a virtual machine",
    "network": "docker network, or virsh net-list and the like for virtual machines",
}

_FLAGS = {"-f", "--follow", "-t", "--timestamps", "--tty", "-i", "--interactive", "-it", "-ti"}


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("version")(version)
    for name, instead in _LACKING.items():
        settings = {"ignore_unknown_options": True, "allow_extra_args": True}
        app.command(name, hidden=True, context_settings=settings)(_lacking(name, instead))


def aliases() -> str:
    """The other names, as `proa --help` shows them."""
    told = ", ".join(f"{other} is {command}" for other, command in ALIASES.items())
    return f"Other names: {told}."


def version(ctx: typer.Context, output: Output = None) -> None:
    """Print the versions of this client and of the daemon."""
    session = Session.of(ctx, output)
    if not session.as_json:
        write_line(f"proa {proa.__version__}")
    with session.connect() as client:
        daemon = client.hosts.GetHost(v1.GetHostRequest()).daemon_version
    if session.as_json:
        write_json({"client": proa.__version__, "daemon": daemon}, indent=2)
    else:
        write_line(f"proad {daemon} at {session.target}")


def _lacking(name: str, instead: str) -> Callable[[typer.Context], None]:
    """Make a command that says what to use in its place, and fails."""

    def command(ctx: typer.Context) -> None:
        """Not there yet; says what to use instead."""
        said = instead.replace("{}", _name(ctx.args))
        write_line(f"Error: proa has no {name} yet; on the host: {said}", err=True)
        raise typer.Exit(Exit.USAGE)

    return command


def _name(arguments: Sequence[str]) -> str:
    """Give the name among the arguments of docker logs or docker exec."""
    named = next((one for one in arguments if one not in _FLAGS), "-")
    return "NAME" if named.startswith("-") else shlex.quote(named)
