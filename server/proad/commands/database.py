"""Commands on the daemon's database."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import typer

from proad.auth.keys import KeyRing
from proad.commands.audited import audited
from proad.config import Settings
from proad.state import prepare_state_dir
from proad.store.database import Database


def run_on_database(settings: Settings, work: Callable[[Database], Awaitable[None]]) -> None:
    """Do something with the database; create first what `proad init` creates."""

    async def run() -> None:
        prepare_state_dir(settings.state_dir)
        KeyRing.open(settings.keys_dir)
        async with Database.open(settings.database_url.get_secret_value()) as database:
            await work(database)

    asyncio.run(run())


def change_database(
    settings: Settings,
    command: str,
    target: str,
    work: Callable[[Database], Awaitable[object]],
    *,
    detail: str = "",
) -> None:
    """Change something in the database, with lines in the audit log; see `audited`."""

    async def run(database: Database) -> None:
        async with audited(settings, database, command, target, detail):
            await work(database)

    run_on_database(settings, run)


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows, the first of them a heading, in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())
