"""login, logout, whoami."""

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated

import typer

import proa
from proa import v1
from proa.cli.output import write_line, write_message
from proa.cli.session import Output, Session, read_password
from proa.cli.text import human_size, one_of, word, words
from proa.cli.tokens import StoredToken
from proa.local_login import DEFAULT_SOCKET, LocalLogin

# In the order in which they count.
_CREDENTIALS = ("PROA_TOKEN", "PROA_SERVICE_KEY", "PROA_SERVICE_KEY_FILE", "PROA_USERNAME")


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("login")(login)
    app.command("logout")(logout)
    app.command("whoami")(whoami)


def login(
    ctx: typer.Context,
    *,
    username: Annotated[str, typer.Argument(help="User to log in.", show_default=False)] = "",
    local: Annotated[
        bool,
        typer.Option(
            "--local",
            help="Log in as whom you stand for as a user of this host, without a password.",
        ),
    ] = False,
    login_socket: Annotated[
        str,
        typer.Option(
            metavar="PATH",
            help="The daemon's login socket, for --local. Default: login.sock beside its own "
            f"socket, or {DEFAULT_SOCKET}.",
            show_default=False,
        ),
    ] = "",
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
    """Log in for the next commands.

    A login lasts until it has not been used for 12 hours, and a week at most, unless the daemon's
    settings say otherwise; with --local, it lasts for as long as the settings know you.
    """
    session = Session.of(ctx, output)
    if local or login_socket:
        if password_stdin:
            raise typer.BadParameter("a local login takes no password")
        path = session.login_socket(login_socket)
        source = LocalLogin(path, username, tuple(scope or ()))
        response = source.log_in()
        stored = StoredToken.of(response, source)
        with session.client(token=response.token) as client:
            username = client.auth.GetCaller(v1.GetCallerRequest()).username
    else:
        if not username:
            raise typer.BadParameter("name the user to log in, or log in with --local")
        password = read_password(from_stdin=password_stdin)
        request = v1.CreateTokenRequest(username=username, password=password, scopes=scope)
        with session.client() as client:
            response = client.auth.CreateToken(request)
        stored = StoredToken.of(response)
    session.tokens.keep(session.target, stored)
    until = response.refresh_expire_time if response.refresh_token else response.expire_time
    response.token = response.refresh_token = ""  # stored in the file; keep them out of the output
    if session.as_json:
        write_message(response)
    else:
        end = "" if stored.login_socket else f" until {_moment(until.ToDatetime(UTC))}"
        write_line(f"Logged in as {username} ({_scopes(response.scopes)}){end}.")


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
    """Tell who is logged in, with which scopes and until when, and what of quotas is used."""
    session = Session.of(ctx, output)
    with session.connect() as client:
        caller = client.auth.GetCaller(v1.GetCallerRequest())
    if session.as_json:
        write_message(caller)
        return
    given = [name for name in _CREDENTIALS if os.environ.get(name)]
    login = None if given else session.tokens.get(session.target)
    # Each command renews a login: its token, of which the caller is told, ends sooner.
    renewed = login.refresh_expire_time if login else ""
    ends = datetime.fromisoformat(renewed) if renewed else caller.expire_time.ToDatetime(UTC)
    source = f" by {given[0]}" if given else ""
    kind = v1.Access.Name(caller.access)
    access = f"access {word(v1.Access, kind)}{f', team {caller.team}' if caller.team else ''}"
    scopes = _scopes(caller.scopes)
    write_line(f"{caller.username}{source} ({scopes}) until {_moment(ends)}")
    write_line(f"{access}, profile {caller.profile}")
    for quota in caller.quotas:
        if quota.HasField("limit"):
            write_line(_quota(quota))


def _quota(quota: v1.Quota) -> str:
    """Return a quota with its use: "quota memory: 512 MiB of 1 GiB"."""
    name = word(v1.QuotaName, v1.QuotaName.Name(quota.name))
    used, limit = (
        human_size(int(count)) if name.endswith("-bytes") else f"{count:g}"
        for count in (quota.used, quota.limit)
    )
    return f"quota {name.removesuffix('-bytes')}: {used} of {limit}"


def _moment(time: datetime) -> str:
    """Return a time of today, or of another day with its date."""
    local = time.astimezone()
    today = local.date() == datetime.now(UTC).astimezone().date()
    return f"{local:%H:%M}" if today else f"{local:%Y-%m-%d %H:%M}"


def _scopes(scopes: Iterable[v1.Scope.ValueType]) -> str:
    return ", ".join(word(v1.Scope, v1.Scope.Name(scope)) for scope in scopes)
