"""The root of the command line: global options, command groups, failures."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

import proa
from proa.cli import (
    aliases,
    attach_command,
    audit,
    cp_command,
    exec_command,
    exits,
    files,
    images,
    inspect,
    login,
    logs,
    port_forward,
    requests,
    run,
    snapshots,
    top,
    update,
    verbs,
    vm,
    volumes,
    watch,
)
from proa.cli.changing import DryRun
from proa.cli.invocation import Invocation
from proa.cli.output import Format, write_line
from proa.cli.session import Session, open_session
from proa.cli.text import duration, escaped


@contextmanager
def _escaped_usage_errors() -> Iterator[None]:
    """Escape arguments in typer's own error messages, and leave pydantic's prefix out."""
    try:
        yield
    except TyperException as error:
        error.message = escaped(error.message.removeprefix("Value error, "), keep="\n")
        raise


class Root(TyperGroup):
    """The root command: turns exceptions into messages and exit codes."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Read the global options."""
        with _escaped_usage_errors():
            return super().make_context(*args, **kwargs)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Find a command by its name or an alias."""
        return super().get_command(ctx, aliases.ALIASES.get(cmd_name, cmd_name))

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            with _escaped_usage_errors():
                return super().invoke(ctx)
        except proa.Error as error:
            session = ctx.obj
            as_json = isinstance(session, Session) and session.as_json
            exits.report(error, Invocation.last(ctx), as_json=as_json)
            raise typer.Exit(exits.code_for(error)) from error
        except DryRun as run:
            run.write()
            raise typer.Exit(run.exit) from None
        except KeyboardInterrupt:
            raise typer.Exit(exits.Exit.INTERRUPTED) from None
        except BrokenPipeError:
            raise  # the reader of the output has gone; typer exits silently
        except (ValueError, OSError) as error:
            # Arguments that are out of range or exclude each other; unreadable files.
            write_line(f"Error: {exits.local_reason(error)}", err=True)
            raise typer.Exit(exits.Exit.USAGE) from error


_VARIABLES = """\
Variables:

PROA_TARGET  as --target

PROA_TLS_CA, PROA_TLS_CERT, PROA_TLS_KEY  as --tls-ca, --tls-cert, --tls-key

PROA_TOKEN  a token, in place of the one that "proa login" keeps

PROA_SERVICE_KEY, or PROA_SERVICE_KEY_FILE, a file with it  the key of a service, without PROA_TOKEN

PROA_USERNAME, PROA_PASSWORD  whom to log in as for each command, without these"""

app = typer.Typer(
    cls=Root,
    name="proa",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog=f"{aliases.aliases()}\n\n{_VARIABLES}\n\n{exits.table()}",
    help="Docker containers and virtual machines of a proad, in one place.",
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer's convention for a callback
    if wanted:
        write_line(f"proa {proa.__version__}")
        raise typer.Exit


@app.callback()
def root(
    ctx: typer.Context,
    *,
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            "-t",
            envvar="PROA_TARGET",
            help="HOST, HOST:PORT or unix:PATH; default: 127.0.0.1:50051.",
        ),
    ] = None,
    output: Annotated[
        Format, typer.Option("--output", "-o", help="Form of the output; also after the command.")
    ] = Format.TABLE,
    tls_ca: Annotated[
        Path | None,
        typer.Option(envvar="PROA_TLS_CA", help="PEM file: authorities of the daemon."),
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option(envvar="PROA_TLS_CERT", help="PEM file: our certificate (mTLS).")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(envvar="PROA_TLS_KEY", help="PEM file: the key of it.")
    ] = None,
    tls: Annotated[bool, typer.Option("--tls", help="TLS with well-known authorities.")] = False,
    timeout: Annotated[
        timedelta | None,
        typer.Option(
            parser=duration,
            metavar="TIME",
            help="Deadline of a call, such as 30s; not of what goes on, such as exec, logs, pull, "
            "wait and watch.",
        ),
    ] = None,
    insecure: Annotated[
        bool,
        typer.Option("--insecure", help="Send password and token in the clear over a network."),
    ] = False,
    print_version: Annotated[  # noqa: ARG001 - its callback does it
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Read the global options."""
    secured = tls or tls_ca is not None or tls_cert is not None
    files = proa.TLS(ca_file=tls_ca, cert_file=tls_cert, key_file=tls_key) if secured else None
    ctx.obj = open_session(target, output, files, timeout, insecure=insecure)


login.add_to(app)
inspect.add_to(app)
watch.add_to(app)
top.add_to(app)
run.add_to(app)
verbs.add_to(app)
update.add_to(app)
aliases.add_to(app)
images.add_to(app)
audit.add_to(app)
exec_command.add_to(app)
port_forward.add_to(app)
logs.add_to(app)
attach_command.add_to(app)
cp_command.add_to(app)
files.add_to(app)
app.add_typer(vm.app, name="vm")
app.add_typer(images.registry, name="registry")
app.add_typer(snapshots.app, name="snapshot")
app.add_typer(volumes.app, name="volumes")
app.add_typer(requests.app, name="requests")
