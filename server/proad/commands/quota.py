"""`proad quota …`: the limits that users and teams have of their own."""

import math
from typing import Annotated

import typer

from proad.commands.database import change_database, print_table, run_on_database
from proad.commands.options import Config
from proad.config import load_settings
from proad.errors import SetupError
from proad.model import QuotaName
from proad.store.database import Database
from proad.store.owners import OwnerStore
from proad.store.quotas import QuotaStore
from proad.store.users import fold_username

app = typer.Typer(
    no_args_is_help=True, help="Limit what a user or a team has in sum, in place of the profile."
)

_DEFAULT = "default"


@app.command("set")
def set_limits(
    owner: Annotated[
        str,
        typer.Argument(
            help="Name of a user or a team.", show_default=False, callback=fold_username
        ),
    ],
    limits: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME=LIMIT…",
            help="resources, running, cpus, memory_bytes, disk_bytes or ports; "
            "the limit 'default' is that of the profile.",
            show_default=False,
        ),
    ],
    config: Config = None,
) -> None:
    """Set limits, never beyond those of [policy]. They hold within two seconds."""
    changes = dict(map(_parsed, limits))

    async def run(database: Database) -> None:
        id = await OwnerStore(database).id(owner)
        if id is None:
            raise SetupError(f"there is no user and no team {owner!r}")
        await QuotaStore(database).set(id, changes)

    settings = load_settings(config)
    change_database(settings, "proad quota set", owner, run, detail=" ".join(limits))
    typer.echo(f"limits of {owner} set")


@app.command("list")
def list_limits(config: Config = None) -> None:
    """List the limits that users and teams have of their own."""

    async def run(database: Database) -> None:
        found = await QuotaStore(database).all()
        names = await OwnerStore(database).names(found)
        rows = [("OWNER", "LIMITS")]
        rows += sorted(
            (names[id], " ".join(f"{name.lower()}={limit:.12g}" for name, limit in limits.items()))
            for id, limits in found.items()
            if id in names
        )
        print_table(rows)

    run_on_database(load_settings(config), run)


def _parsed(text: str) -> tuple[QuotaName, float | None]:
    name, _, limit = text.partition("=")
    try:
        quota = QuotaName(name.upper())
    except ValueError:
        known = ", ".join(each.lower() for each in QuotaName)
        raise SetupError(f"{name!r} is no quota; there are {known}") from None
    if limit == _DEFAULT:
        return quota, None
    try:
        amount = float(limit) if quota is QuotaName.CPUS else int(limit)
    except ValueError:
        amount = 0
    if not (0 < amount < 2**63 and math.isfinite(amount)):
        raise SetupError(f"{text!r}: the limit must be a number above 0, or {_DEFAULT!r}")
    return quota, amount
