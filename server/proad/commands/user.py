"""`proad user …`: administration of users, their scopes and their access."""

import re
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from proad.auth.passwords import Passwords, check_new_password
from proad.commands.database import change_database, print_table, run_on_database
from proad.commands.options import Config
from proad.config import Settings, load_settings
from proad.errors import InvalidArgumentError
from proad.model import DEFAULT_PROFILE, Access
from proad.model.scope import Scope, write_scopes
from proad.policy.containers.networks import own_networks as own_container_networks
from proad.policy.domains.networks import own_networks as own_domain_networks
from proad.store.database import Database
from proad.store.teams import TeamStore
from proad.store.users import User, UserNotFoundError, UserStore, check_username, fold_username

T = TypeVar("T")

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
AccessOption = Annotated[
    Access,
    typer.Option(
        "--access",
        help="Whose resources the user sees and changes: all, those of the user and of the "
        "team, or the user's own.",
    ),
]
TeamOption = Annotated[
    str | None, typer.Option("--team", help="The user's team; see 'proad team'.")
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
    access: AccessOption = Access.ALL,
    team: TeamOption = None,
    password_stdin: PasswordStdin = False,
    config: Config = None,
) -> None:
    """Add a user. Works before the daemon's first start."""
    settings = load_settings(config)
    check_username(name)
    _check_profile(profile, settings)
    _check_access(access, team)
    password = _password(settings, from_stdin=password_stdin)

    async def change(database: Database) -> None:
        await UserStore(database).add(
            name,
            await _hash(password),
            scope or [],
            access=access,
            team_id=await _team_id(database, team),
            profile=profile,
        )

    added = f"added with {_scopes(scope or [])} and {_access(access, team)}"
    detail = f"{added}, profile {profile}"
    change_database(settings, "proad user add", name, change, detail=detail)
    _say(name, added)
    _note_networks(name, access, profile, settings)


@app.command("list")
def list_users(config: Config = None) -> None:
    """List all users."""

    async def show(database: Database) -> None:
        teams = {team.id: team.name for team in await TeamStore(database).list()}
        rows = [("NAME", "SCOPES", "PROFILE", "ACCESS", "TEAM", "STATUS", "CREATED")]
        rows += [
            (
                user.name,
                write_scopes(user.scopes).replace(" ", ",") or "-",
                user.profile,
                str(user.access),
                teams.get(user.team_id, "-"),
                "disabled" if user.disabled else "enabled",
                f"{user.create_time:%Y-%m-%d %H:%M:%S}Z",
            )
            for user in await UserStore(database).list()
        ]
        print_table(rows)

    run_on_database(load_settings(config), show)


@app.command()
def passwd(name: Name, *, password_stdin: PasswordStdin = False, config: Config = None) -> None:
    """Change a user's password. Ends their tokens."""
    settings = load_settings(config)

    async def check(database: Database) -> None:
        if await UserStore(database).get(name) is None:
            raise UserNotFoundError(name)

    async def change(users: UserStore) -> None:
        await users.set_password(name, await _hash(password))

    run_on_database(settings, check)  # before the prompt, in which nothing must be locked
    password = _password(settings, from_stdin=password_stdin)
    _change(settings, "passwd", name, change)
    _say(name, "has a new password; tokens given before are no longer good")


@app.command()
def scopes(name: Name, scope: Scopes = None, config: Config = None) -> None:
    """Grant exactly these scopes; without any, none. Ends the user's tokens."""
    settings = load_settings(config)

    async def change(users: UserStore) -> None:
        await users.set_scopes(name, scope or [])

    _change(settings, "scopes", name, change, f"now has {_scopes(scope or [])}")
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

    async def change(users: UserStore) -> User:
        return await users.set_profile(name, profile)

    user = _change(settings, "set-profile", name, change, f"now has profile {profile}")
    _say(name, f"now has profile {profile}; tokens given before are no longer good")
    _note_networks(name, user.access, profile, settings)


@app.command("set-access")
def set_access(
    name: Name,
    access: Annotated[Access, typer.Argument(help="The access.", show_default=False)],
    team: TeamOption = None,
    config: Config = None,
) -> None:
    """Set whose resources a user sees and changes, and the user's team. Ends the user's tokens."""
    settings = load_settings(config)
    _check_access(access, team)

    async def change(database: Database) -> User:
        team_id = await _team_id(database, team)
        return await UserStore(database).set_access(name, access, team_id)

    detail = f"now has {_access(access, team)}"
    user = change_database(settings, "proad user set-access", name, change, detail=detail)
    _say(name, f"now has {_access(access, team)}; tokens given before are no longer good")
    _note_networks(name, access, user.profile, settings)


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

    now = f"is now {fold_username(new_name)}"
    _change(load_settings(config), "rename", name, change, now)
    _say(name, f"{now}; tokens given before are no longer good")


@app.command()
def remove(name: Name, config: Config = None) -> None:
    """Remove a user. Ends their tokens within a second."""

    async def change(users: UserStore) -> None:
        await users.remove(name)

    _change(load_settings(config), "remove", name, change)
    _say(name, "removed")


def _check_profile(profile: str, settings: Settings) -> None:
    """Refuse a profile that the configuration has not; such a user could change nothing."""
    known = settings.policy.effective()
    if profile not in known:
        raise InvalidArgumentError.of(
            "profile",
            f"{profile!r} is not configured; there are {', '.join(sorted(known))}; a file with "
            f"[policy.profiles.{profile}] is named by --config or PROA_CONFIG",
        )


def _note_networks(name: str, access: Access, profile: str, settings: Settings) -> None:
    """Say so if a user can create nothing without a word about networks.

    The engines' default networks are everybody's, and the shipped profiles name no others.
    """
    chosen = settings.policy.effective().get(profile)
    if access is Access.ALL or chosen is None or not chosen.of_tenant().keeps_apart:
        return
    unset = [
        setting
        for setting, used, own in (
            (
                "allowed_container_networks",
                any(host.docker_url for host in settings.hosts),
                own_container_networks(chosen),
            ),
            (
                "allowed_domain_networks",
                any(host.libvirt_uri for host in settings.hosts),
                own_domain_networks(chosen),
            ),
        )
        if used and not own
    ]
    if unset:
        typer.echo(
            f"note: {' and '.join(unset)} of profile {profile} name no network: until they do, each "
            f"create of {name} must name one that is not everybody's, or none",
            err=True,
        )


def _set_disabled(name: str, config: Config, *, disabled: bool) -> None:
    async def change(users: UserStore) -> None:
        await users.set_disabled(name, disabled=disabled)

    _change(load_settings(config), "disable" if disabled else "enable", name, change)


def _change(
    settings: Settings,
    verb: str,
    name: str,
    work: Callable[[UserStore], Awaitable[T]],
    detail: str = "",
) -> T:
    return change_database(
        settings,
        f"proad user {verb}",
        name,
        lambda database: work(UserStore(database)),
        detail=detail,
    )


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


def _check_access(access: Access, team: str | None) -> None:
    """Check that a user who sees what a team has is in one. Raises InvalidArgumentError."""
    if access is Access.TEAM and team is None:
        raise InvalidArgumentError.of("--team", "is needed with the access team")


def _access(access: Access, team: str | None) -> str:
    return f"access {access}{f' in team {fold_username(team)}' if team else ''}"


async def _team_id(database: Database, team: str | None) -> str:
    """Return the id of a team; empty for none. Raises TeamNotFoundError."""
    return "" if team is None else (await TeamStore(database).get(team)).id


def _say(name: str, what: str) -> None:
    typer.echo(f"user {name} {what}")
