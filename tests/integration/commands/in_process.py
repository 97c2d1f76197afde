"""Commands in the process of the test, since the start of an interpreter takes a second each."""

from collections.abc import Mapping

from typer.testing import CliRunner

from proad.commands.root import app


def give(
    environment: Mapping[str, str], *arguments: str, stdin: str = "", code: int | None = 0
) -> str:
    """Give a command, and return its output, or the message of the error that ended it.

    Args:
        environment: its environment.
        arguments: its words.
        stdin: its standard input.
        code: the exit code that it must have; None: any.
    """
    variables: dict[str, str | None] = {**environment}
    result = CliRunner().invoke(app, arguments, input=stdin, env=variables)
    assert code in {None, result.exit_code}, result.output or result.exception
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        return str(result.exception)
    return result.output
