"""Commands as they are typed, read but not run."""

import typer
from typer.testing import CliRunner

from proa.cli.app import app
from proa.cli.invocation import Invocation

COMMAND = typer.main.get_command(app)


def parse(argv):
    """Read a command line as the CLI does; gives the context of its last command."""
    with CliRunner().isolation(input="what is asked for\n"):
        return _parse(argv)


def _parse(argv):
    ctx = COMMAND.make_context("proa", list(argv))
    while hasattr(ctx.command, "resolve_command"):
        rest = [*ctx._protected_args, *ctx.args]
        if not rest:
            assert getattr(ctx.command, "invoke_without_command", False)
            return ctx
        name, command, rest = ctx.command.resolve_command(ctx, rest)
        ctx = command.make_context(name, rest, parent=ctx)
    return ctx


def typed(*argv, target="127.0.0.1:50051"):
    """What was typed, as an error of it is told with."""
    return Invocation.of(parse(argv), target, tls=False)
