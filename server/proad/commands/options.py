"""Options of several commands."""

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        envvar="PROA_CONFIG",
        help="TOML file with settings; variables PROA_… count more.",
        dir_okay=False,
    ),
]
