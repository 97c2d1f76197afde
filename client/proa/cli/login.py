"""login, logout, whoami."""

import os
from collections.abc import Iterable
from datetime import UTC
from typing import Annotated

import typer

import proa
from proa import v1
from proa.cli.output import write_line, write_message
from proa.cli.session import Output, Session, read_password
from proa.cli.text import one_of, word, words
from proa.cli.tokens import StoredToken


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("login")(login)
    app.command("logout")(logout)
    app.command("whoami")(whoami)


def login(
    ctx: typer.Context,
    *,
    username: str,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    scope: Annotated[
        list[v1.Scope.ValueType] | None,
        typer.Option(
            parser=one_of(v1.Scope),
            metavar=words(v1.Scope),
            help="Scope to ask for; several times for several. Default: all that you have.",
        ),
    ] = None,
    output: Output = None,
) -> None:
    """Log in for the next commands. A login lasts until it has not been used for 12 hours."""
    session = Session.of(ctx, output)
    password = read_password(from_stdin=password_stdin)
    request = v1.CreateTokenRequest(username=username, password=password, scopes=scope)
    with session.client() as client:
        response = client.auth.CreateToken(request)
    session.tokens.keep(session.target, StoredToken.of(response))
    until = response.refresh_expire_time if response.refresh_token else response.expire_time
    response.token = response.refresh_token = ""  # stored in the file; keep them out of the output
    if session.as_json:
        write_message(response)
    else:
        end = until.ToDatetime(UTC).astimezone()
        write_line(f"Logged in as {username} ({_scopes(response.scopes)}) until {end:%H:%M}.")


def logout(ctx: typer.Context) -> None:
    """End the login, with all of its tokens, and forget it."""
    session = Session.of(ctx, None)
    login = session.login
    if login is None:
        write_line(f"Nobody is logged in at {session.target}.", err=True)
        return
    try:
        with session.client(token=login) as client:
            client.auth.RevokeToken(v1.RevokeTokenRequest())
    except proa.Unauthenticated:
        # The login is over already: the goal is reached.
        write_line("The login was over already.", err=True)
    session.tokens.drop(session.target)


def whoami(ctx: typer.Context, output: Output = None) -> None:
    """Tell who is logged in, with which scopes and until when."""
    session = Session.of(ctx, output)
    with session.connect() as client:
        caller = client.auth.GetCaller(v1.GetCallerRequest())
    if session.as_json:
        write_message(caller)
        return
    until = caller.expire_time.ToDatetime(UTC).astimezone()
    source = " by PROA_TOKEN" if os.environ.get("PROA_TOKEN") else ""
    write_line(f"{caller.username}{source} ({_scopes(caller.scopes)}) until {until:%H:%M}")


def _scopes(scopes: Iterable[v1.Scope.ValueType]) -> str:
    return ", ".join(word(v1.Scope, v1.Scope.Name(scope)) for scope in scopes)
