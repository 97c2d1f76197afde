"""`proad user …`: administration of users and their scopes."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated

import typer

from proad.auth.keys import KeyRing
from proad.auth.passwords import Passwords, check_new_password
from proad.commands.options import Config
from proad.config import Settings, load_settings
from proad.errors import InvalidArgumentError
from proad.model import DEFAULT_PROFILE
from proad.model.scope import Scope, write_scopes
from proad.state import prepare_state_dir
from proad.store.database import Database
from proad.store.users import UserNotFoundError, UserStore, check_username, fold_username

app = typer.Typer(no_args_is_help=True, help="Manage users.")

Name = Annotated[
    str,
    typer.Argument(
        help="User name; Ann and ann are one.", show_default=False, callback=fold_username
    ),
]
Scopes = Annotated[
    list[Scope] | None,
    typer.Option(
        "--scope",
        help="basic (read), advanced (change) or audit (read who did what); repeat for several. "
        "None implies another.",
    ),
]
PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input.")
]
ProfileName = Annotated[
    str, typer.Option("--profile", help="The user's profile in the host's policy.")
]


@app.command()
def add(
    name: Name,
    *,
    scope: Scopes = None,
    profile: ProfileName = DEFAULT_PROFILE,
    password_stdin: PasswordStdin = False,
    config: Config = None,
) -> None:
    """Add a user. Works before the daemon's first start."""
    settings = load_settings(config)
    check_username(name)
    _check_profile(profile, settings)
    password = _password(settings, from_stdin=password_stdin)

    async def change(users: UserStore) -> None:
        await users.add(name, await _hash(password), scope or [], profile=profile)

    _run(settings, change)
    _say(name, f"added with {_scopes(scope or [])}")


@app.command("list")
def list_users(config: Config = None) -> None:
    """List all users."""
    settings = load_settings(config)

    async def show(users: UserStore) -> None:
        rows = [("NAME", "SCOPES", "PROFILE", "STATUS", "CREATED")]
        rows += [
            (
                user.name,
                write_scopes(user.scopes).replace(" ", ",") or "-",
                user.profile,
                "disabled" if user.disabled else "enabled",
                f"{user.create_time:%Y-%m-%d %H:%M:%S}Z",
            )
            for user in await users.list()
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            typer.echo("  ".join(cells).rstrip())

    _run(settings, show)


@app.command()
def passwd(name: Name, *, password_stdin: PasswordStdin = False, config: Config = None) -> None:
    """Change a user's password. Ends their tokens."""
    settings = load_settings(config)

    async def change(users: UserStore) -> None:
        if await users.get(name) is None:  # before the prompt for a password
            raise UserNotFoundError(name)
        password = _password(settings, from_stdin=password_stdin)
        await users.set_password(name, await _hash(password))

    _run(settings, change)
    _say(name, "has a new password; tokens given before are no longer good")


@app.command()
def scopes(name: Name, scope: Scopes = None, config: Config = None) -> None:
    """Grant exactly these scopes; without any, none. Ends the user's tokens."""
    settings = load_settings(config)

    async def change(users: UserStore) -> None:
        await users.set_scopes(name, scope or [])

    _run(settings, change)
    _say(name, f"now has {_scopes(scope or [])}; tokens given before are no longer good")


@app.command("set-profile")
def set_profile(
    name: Name,
    profile: Annotated[str, typer.Argument(help="Name of the profile.", show_default=False)],
    config: Config = None,
) -> None:
    """Set a user's profile in the host's policy. Ends the user's tokens."""
    settings = load_settings(config)
    _check_profile(profile, settings)

    async def change(users: UserStore) -> None:
        await users.set_profile(name, profile)

    _run(settings, change)
    _say(name, f"now has profile {profile}; tokens given before are no longer good")


@app.command()
def enable(name: Name, config: Config = None) -> None:
    """Let a user log in again."""
    _set_disabled(name, config, disabled=False)
    _say(name, "enabled")


@app.command()
def disable(name: Name, config: Config = None) -> None:
    """Lock a user out. Ends their tokens within a second, also in a running daemon."""
    _set_disabled(name, config, disabled=True)
    _say(name, "disabled; tokens given before are no longer good")


@app.command()
def rename(
    name: Name,
    new_name: Annotated[str, typer.Argument(help="The new name.", show_default=False)],
    config: Config = None,
) -> None:
    """Give a user another name. What they made stays theirs; ends their tokens."""

    async def change(users: UserStore) -> None:
        await users.rename(name, new_name)

    _run(load_settings(config), change)
    _say(name, f"is now {fold_username(new_name)}; tokens given before are no longer good")


@app.command()
def remove(name: Name, config: Config = None) -> None:
    """Remove a user. Ends their tokens within a second."""

    async def change(users: UserStore) -> None:
        await users.remove(name)

    _run(load_settings(config), change)
    _say(name, "removed")


def _check_profile(profile: str, settings: Settings) -> None:
    """Refuse a profile that the configuration has not; such a user could change nothing."""
    known = settings.policy.effective()
    if profile not in known:
        raise InvalidArgumentError.of(
            "profile", f"{profile!r} is not configured; there are {', '.join(sorted(known))}"
        )


def _set_disabled(name: str, config: Config, *, disabled: bool) -> None:
    async def change(users: UserStore) -> None:
        await users.set_disabled(name, disabled=disabled)

    _run(load_settings(config), change)


def _run(settings: Settings, work: Callable[[UserStore], Awaitable[None]]) -> None:
    async def run() -> None:
        async with _users(settings) as users:
            await work(users)

    asyncio.run(run())


@asynccontextmanager
async def _users(settings: Settings) -> AsyncIterator[UserStore]:
    """Open the store of users; create first what `proad init` creates."""
    prepare_state_dir(settings.state_dir)
    KeyRing.open(settings.keys_dir)
    async with Database.open(settings.database_url.get_secret_value()) as database:
        yield UserStore(database)


async def _hash(password: str) -> str:
    with Passwords() as passwords:
        return await passwords.hash(password)


def _password(settings: Settings, *, from_stdin: bool) -> str:
    """Read a new password. Raises InvalidArgumentError for an impossible one."""
    if from_stdin:
        # One line end, of any operating system, is not part of the password.
        password = re.sub(r"(\r\n|\r|\n)\Z", "", _decoded(sys.stdin.buffer.read()))
    else:
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    check_new_password(password, at_least=settings.password_min_length)
    return password


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise InvalidArgumentError.of("password", "must be valid UTF-8") from None


def _scopes(granted: list[Scope]) -> str:
    words = [scope for scope in Scope if scope in granted]
    if not words:
        return "no scope"
    *first, last = words
    return f"scope {', '.join(first)} and {last}" if first else f"scope {last}"


def _say(name: str, what: str) -> None:
    typer.echo(f"user {name} {what}")
