"""Commands on the daemon's database."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import typer

from proad.auth.keys import KeyRing
from proad.commands.audited import audited
from proad.config import Settings
from proad.state import prepare_state_dir
from proad.store.database import Database

T = TypeVar("T")


def run_on_database(settings: Settings, work: Callable[[Database], Awaitable[T]]) -> T:
    """Do something with the database; create first what `proad init` creates."""

    async def run() -> T:
        prepare_state_dir(settings.state_dir)
        KeyRing.open(settings.keys_dir)
        async with Database.open(settings.database_url.get_secret_value()) as database:
            return await work(database)

    return asyncio.run(run())


def change_database(
    settings: Settings,
    command: str,
    target: str,
    work: Callable[[Database], Awaitable[T]],
    *,
    detail: str = "",
) -> T:
    """Change something in the database, with lines in the audit log; see `audited`."""

    async def run(database: Database) -> T:
        async with audited(settings, database, command, target, detail):
            return await work(database)

    return run_on_database(settings, run)


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows, the first of them a heading, in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())
