"""`proad team …`: administration of teams."""

from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from proad.commands.database import change_database, print_table, run_on_database
from proad.commands.options import Config
from proad.config import load_settings
from proad.store.database import Database
from proad.store.teams import TeamStore
from proad.store.users import fold_username

app = typer.Typer(no_args_is_help=True, help="Manage teams, which own what their users make.")

Name = Annotated[
    str,
    typer.Argument(help="Name of the team.", show_default=False, callback=fold_username),
]


@app.command()
def add(name: Name, config: Config = None) -> None:
    """Add a team. 'proad user set-access' puts users into it."""
    _change(config, "add", name, lambda teams: teams.add(name))
    _say(name, "added")


@app.command("list")
def list_teams(config: Config = None) -> None:
    """List all teams."""

    async def show(database: Database) -> None:
        rows = [("NAME", "MEMBERS", "CREATED")]
        rows += [
            (team.name, str(team.members), f"{team.create_time:%Y-%m-%d %H:%M:%S}Z")
            for team in await TeamStore(database).list()
        ]
        print_table(rows)

    run_on_database(load_settings(config), show)


@app.command()
def rename(
    name: Name,
    new_name: Annotated[str, typer.Argument(help="The new name.", show_default=False)],
    config: Config = None,
) -> None:
    """Give a team another name. What it owns stays its own."""
    now = f"is now {fold_username(new_name)}"
    _change(config, "rename", name, lambda teams: teams.rename(name, new_name), now)
    _say(name, now)


@app.command()
def remove(name: Name, config: Config = None) -> None:
    """Remove a team without members. What it owned is nobody's: only access all sees that."""
    _change(config, "remove", name, lambda teams: teams.remove(name))
    _say(name, "removed")


def _change(
    config: Config,
    verb: str,
    name: str,
    work: Callable[[TeamStore], Awaitable[object]],
    detail: str = "",
) -> None:
    change_database(
        load_settings(config),
        f"proad team {verb}",
        name,
        lambda database: work(TeamStore(database)),
        detail=detail,
    )


def _say(name: str, what: str) -> None:
    typer.echo(f"team {name} {what}")
