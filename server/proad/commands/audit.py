"""`proad audit verify`: what was done to the audit log behind the daemon's back."""

import asyncio
from typing import Annotated

import typer

from proad.audit import AuditReport, verify
from proad.auth.keys import KeyRing
from proad.commands.options import Config
from proad.config import Settings, load_settings
from proad.errors import SetupError
from proad.state import daemon_id, is_served
from proad.store.audit import AuditStore
from proad.store.database import Database

app = typer.Typer(no_args_is_help=True, help="Check the audit log.")

_MOST_SHOWN = 100


@app.callback()
def _audit() -> None:
    """Check the audit log."""


@app.command("verify")
def verify_log(
    *,
    most: Annotated[
        int, typer.Option("--most", min=1, help="How many damages are shown.")
    ] = _MOST_SHOWN,
    config: Config = None,
) -> None:
    """Tell whether lines of the audit log were changed, moved, added or taken away, and which.

    Exit codes: 0 all is as it was written; 3 the last line is torn, as a crash leaves it; 4 lines
    are missing at the end; 5 lines were changed, or are missing elsewhere; 6 lines cannot be
    checked, since their key is not kept any more; 1 the log cannot be read.
    """
    settings = load_settings(config)
    if not settings.state_dir.is_dir():
        raise SetupError(f"{settings.state_dir}: there is no state folder")
    report = asyncio.run(_verify(settings))
    for note in report.notes:
        typer.echo(f"note: {note}")
    for finding in report.findings[:most]:
        typer.echo(f"{finding.damage.name.lower()}: {finding.file or '(missing)'}: {finding.text}")
    if len(report.findings) > most:
        typer.echo(f"… and {len(report.findings) - most} more")
    span = f"lines {report.first} to {report.last} in {report.files} file(s)"
    typer.echo(f"{'intact' if report.damage is None else 'damaged'}: {span}")
    if report.damage is not None:
        raise typer.Exit(report.damage)


async def _verify(settings: Settings) -> AuditReport:
    """Check the log; once more if the daemon was writing a line at that very moment."""
    keys = KeyRing.open(settings.keys_dir).derived("audit log")
    daemon = daemon_id(settings.state_dir)
    async with Database.open(settings.database_url.get_secret_value()) as database:
        head = await AuditStore(database, daemon).head()
    report = verify(settings.audit_dir, keys, daemon, head)
    for _ in range(_ATTEMPTS):
        if not report.torn or not is_served(settings.state_dir):
            break
        await asyncio.sleep(_PAUSE)
        report = verify(settings.audit_dir, keys, daemon, head)
    return report


_ATTEMPTS = 5
_PAUSE = 0.05
