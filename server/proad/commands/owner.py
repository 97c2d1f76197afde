"""`proad owner …`: whose resources and volumes are."""

from typing import Annotated

import typer

from proad.commands.audited import audited_by_daemon
from proad.commands.options import Config
from proad.config import load_settings
from proad.control import ask
from proad.errors import SetupError
from proad.store.users import fold_username

app = typer.Typer(no_args_is_help=True, help="Hand resources and volumes over to a user or a team.")


@app.callback()
def _group() -> None:
    """Keep `set` a command of its own."""


@app.command("set")
def set_owner(
    id: Annotated[
        str, typer.Argument(help="The resource, as in calls, or a volume.", show_default=False)
    ],
    owner: Annotated[
        str,
        typer.Argument(
            help="Name of a user or a team.", show_default=False, callback=fold_username
        ),
    ],
    config: Config = None,
) -> None:
    """Hand a resource over, with the volumes that were made for it. The daemon must run.

    A single volume is volume/POOL/NAME, or volume/NAME for one of containers, after HOST/ where
    there are several hosts. The owner before loses sight of it at once.
    """
    state_dir = load_settings(config).state_dir
    with audited_by_daemon(state_dir, "proad owner set", id, f"owner {owner}"):
        answer = ask(state_dir, "own", id, owner)
        if "error" in answer:
            raise SetupError(answer["error"])
    before = f", before {answer['before']}'s" if answer["before"] else ""
    typer.echo(f"{answer['name']} ({answer['path']}) is {owner}'s now{before}")
