"""audit: who did what."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Annotated

import typer

from proa import v1
from proa.cli.output import write_line, write_messages, write_table
from proa.cli.session import NoTrunc, Output, Session
from proa.cli.tables import Column
from proa.cli.text import duration, one_of, word, words

_COLUMNS = (
    Column("TIME", rank=1),
    Column("USER", least=8),
    Column("CALL", least=14),
    Column("ABOUT", rank=2, least=12),
    Column("OUTCOME", least=9),
    Column("REASON", rank=3, least=12),
    Column("FROM", rank=5, least=12),
    Column("TOKEN", rank=6, least=10),
)
# Of a name that many resources have had, one after another.
_MOST_PATHS = 5


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(audit)


def audit(
    ctx: typer.Context,
    *,
    resource: Annotated[
        str,
        typer.Argument(
            metavar="[RESOURCE]",
            help="A path such as local/container/ID, or what calls named: a name, an id, an image.",
        ),
    ] = "",
    user: Annotated[str, typer.Option("--user", help="Only of this user.")] = "",
    call: Annotated[str, typer.Option("--call", help="Only this RPC, such as StopResource.")] = "",
    outcome: Annotated[
        list[v1.AuditOutcome.ValueType] | None,
        typer.Option(
            parser=one_of(v1.AuditOutcome),
            metavar="OUTCOME",
            help=f"Only these: {words(v1.AuditOutcome)}; repeat for several.",
        ),
    ] = None,
    since: Annotated[
        timedelta | None,
        typer.Option(parser=duration, metavar="TIME", help="Only so long ago or less, such as 2h."),
    ] = None,
    most: Annotated[
        int, typer.Option("--most", "-n", min=1, max=100_000, help="How many, newest first.")
    ] = 50,
    no_trunc: NoTrunc = False,
    output: Output = None,
) -> None:
    """Tell who did what, newest first. Needs the scope audit."""
    session = Session.of(ctx, output)
    filter = v1.AuditFilter(
        resource=resource, username=user.lower(), method_name=call, outcomes=outcome
    )
    if since is not None:
        filter.start_time.FromDatetime(datetime.now(UTC) - since)
    with session.connect() as client:
        found = list(islice(client.list_audit_entries(filter, page_size=min(most, 1000)), most))
    if session.as_json:
        write_messages(found)
    else:
        write_table(_COLUMNS, map(_row, found), whole=no_trunc)
        for path in paths_beside(resource, found):
            write_line(f"all that was done to {path}: proa audit {path}", err=True)


def paths_beside(resource: str, found: Sequence[v1.AuditEntry]) -> Sequence[str]:
    """Return the paths of what a name or id stood for, the last first.

    Others may have named the same resource otherwise: its path alone finds all calls.
    """
    paths = dict.fromkeys(entry.path for entry in found if entry.path)
    return [] if not resource or resource in paths else list(paths)[:_MOST_PATHS]


def _row(entry: v1.AuditEntry) -> tuple[str, ...]:
    about = entry.target or entry.path
    return (
        entry.time.ToDatetime(UTC).strftime("%Y-%m-%d %H:%M:%SZ"),
        entry.username or "(host)",  # a command on the host, as which user of it FROM tells
        entry.method_name.rpartition("/")[2],
        f"{about}@{entry.snapshot}" if entry.snapshot else about,
        word(v1.AuditOutcome, v1.AuditOutcome.Name(entry.outcome)),
        v1.ErrorReason.Name(entry.reason).removeprefix("ERROR_REASON_") if entry.reason else "",
        entry.peer,
        entry.token_id,
    )
