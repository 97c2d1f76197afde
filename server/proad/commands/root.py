"""The root of the command line: global options, command groups, failures."""

import os
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from proad.commands import audit, daemon, key, owner, quota, team, user
from proad.config import ConfigError, LogFormat, LogLevel
from proad.errors import ProaError, SetupError, redacted
from proad.hardening import harden
from proad.logs import configure_logs
from proad.store.service_keys import ServiceKeyNotFoundError
from proad.store.teams import TeamNotEmptyError, TeamNotFoundError
from proad.store.users import UserNotFoundError

# Errors of commands on the host alone, which no RPC has.
_OF_COMMANDS = (UserNotFoundError, TeamNotFoundError, TeamNotEmptyError, ServiceKeyNotFoundError)


class Root(TyperGroup):
    """The root command: leaves pydantic's prefix out of typer's own error messages."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except TyperException as error:
            error.message = error.message.removeprefix("Value error, ")
            raise


app = typer.Typer(
    cls=Root,
    name="proad",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Docker containers and virtual machines behind one gRPC contract.",
)
app.command()(daemon.serve)
app.command()(daemon.reload)
app.command()(daemon.init)
app.command("check-config")(daemon.check_config)
app.add_typer(user.app, name="user")
app.add_typer(team.app, name="team")
app.add_typer(owner.app, name="owner")
app.add_typer(quota.app, name="quota")
app.add_typer(audit.app, name="audit")
app.add_typer(key.app, name="key")


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer's signature
    if wanted:
        typer.echo(f"proad {version('proa')}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    pass


def run() -> None:
    """Run the command line in a hardened process."""
    harden()
    configure_logs(LogFormat.CONSOLE, LogLevel.WARNING)
    try:
        _check_arguments(sys.argv)
        app()
    except ConfigError as error:
        _fail(str(error), code=2)
    except (SetupError, ProaError, *_OF_COMMANDS) as error:
        _fail(str(error), code=1)
    except ModuleNotFoundError:
        raise  # the importing module reports what is not installed
    except Exception:  # noqa: BLE001 - a fault of ours, without a traceback, which may show secrets
        _fail(redacted(traceback.format_exc()), code=1)


def _check_arguments(arguments: Sequence[str]) -> None:
    """Raise SetupError unless all arguments are UTF-8: neither the database nor a name has others."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise SetupError(
                f"argument {os.fsencode(argument)!r} is not UTF-8; set the terminal to UTF-8"
            ) from None


def _fail(text: str, *, code: int) -> None:
    for line in text.splitlines():
        print(f"proad: {line}", file=sys.stderr)  # noqa: T201 - this is the command line
    sys.exit(code)
