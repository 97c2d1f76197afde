"""`proad key …`: administration of service keys."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from proad.auth.service_keys import KeyText
from proad.commands.database import change_database, print_table, run_on_database
from proad.commands.options import Config
from proad.commands.user import Name
from proad.config import LONGEST_TOKEN_LIFETIME, load_settings
from proad.errors import InvalidArgumentError
from proad.model import Access
from proad.model.grant import Grant
from proad.model.scope import Scope, write_scopes
from proad.store.database import Database
from proad.store.service_keys import ServiceKey, ServiceKeyStore
from proad.store.users import User, UserNotFoundError, UserStore

app = typer.Typer(no_args_is_help=True, help="Manage the keys of services.")

_DAYS = re.compile(r"([1-9][0-9]{0,4})d")
_KEY_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@+-]{0,63}")

KeyName = Annotated[str, typer.Option("--name", help="Name of the key, such as the service's.")]


@app.command()
def create(
    user: Name,
    *,
    name: KeyName,
    scope: Annotated[
        list[Scope],
        typer.Option("--scope", help="What the key may be used for; repeat for several."),
    ],
    access: Annotated[
        Access, typer.Option(help="Whose resources; at most what the user sees.")
    ] = Access.ALL,
    expires: Annotated[
        str, typer.Option(metavar="DAYSd|never", help="When the key ends, such as 90d.")
    ] = "365d",
    config: Config = None,
) -> None:
    """Make a key with which a service acts on behalf of a user, and print it, this once."""
    now = datetime.now(UTC)
    text = KeyText.new()
    key = ServiceKey(
        id=text.id,
        user_id="",
        name=_checked(name),
        digest=text.digest,
        grant=Grant(frozenset(scope), access),
        create_time=now,
        expire_time=_expiry(expires, now),
    )

    async def change(database: Database) -> None:
        owner = await _user(database, user)
        if missing := sorted(key.grant.scopes - owner.scopes):
            raise InvalidArgumentError.of("scope", f"{user} does not have {', '.join(missing)}")
        await ServiceKeyStore(database).add(replace(key, user_id=owner.id))

    detail = f"key {name} with {write_scopes(key.grant.scopes)}, access {access}, ends {expires}"
    change_database(load_settings(config), "proad key create", user, change, detail=detail)
    typer.echo(f"key {name} of {user}; it is shown this once:", err=True)
    typer.echo(text.write())


@app.command("list")
def list_keys(config: Config = None) -> None:
    """List all keys. Their secrets are kept nowhere."""

    async def show(database: Database) -> None:
        names = {user.id: user.name for user in await UserStore(database).list()}
        rows: list[Sequence[str]] = [
            ("USER", "NAME", "SCOPES", "ACCESS", "CREATED", "EXPIRES", "LAST USE")
        ]
        rows += [
            (
                names.get(key.user_id, "-"),
                key.name,
                write_scopes(key.grant.scopes).replace(" ", ",") or "-",
                key.grant.access,
                f"{key.create_time:%Y-%m-%d}",
                f"{key.expire_time:%Y-%m-%d}" if key.expire_time else "never",
                f"{key.use_time:%Y-%m-%d %H:%M}Z" if key.use_time else "never",
            )
            for key in await ServiceKeyStore(database).list()
        ]
        print_table(rows)

    run_on_database(load_settings(config), show)


@app.command()
def revoke(
    user: Name,
    name: Annotated[str, typer.Argument(help="Name of the key.", show_default=False)],
    *,
    config: Config = None,
) -> None:
    """End a key, and the tokens that it gave, within a second."""

    async def change(database: Database) -> None:
        owner = await _user(database, user)
        # Tokens may have been given before the setting was lowered.
        until = datetime.now(UTC) + LONGEST_TOKEN_LIFETIME
        await ServiceKeyStore(database).remove(owner.id, name, revoked_until=until)

    settings = load_settings(config)
    change_database(settings, "proad key revoke", user, change, detail=f"key {name}")
    typer.echo(f"key {name} of {user} revoked; tokens that it gave are no longer good")


async def _user(database: Database, name: str) -> User:
    user = await UserStore(database).get(name)
    if user is None:
        raise UserNotFoundError(name)
    return user


def _checked(name: str) -> str:
    if not _KEY_NAME.fullmatch(name):
        raise InvalidArgumentError.of(
            "name",
            "must have 1 to 64 characters: letters and digits of ASCII, '_', '.', '@', '+', '-'",
        )
    return name


def _expiry(text: str, now: datetime) -> datetime | None:
    if text == "never":
        return None
    if match := _DAYS.fullmatch(text):
        return now + timedelta(days=int(match[1]))
    raise InvalidArgumentError.of("expires", "must be a number of days, such as 90d, or never")
