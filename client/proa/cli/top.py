"""top: live resource usage of containers and virtual machines."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import islice
from typing import Annotated

import typer
from rich.live import Live

from proa import v1
from proa.cli import exits, filters
from proa.cli.output import (
    as_dict,
    make_console,
    make_table,
    on_terminal,
    write_json,
    write_line,
    write_table,
)
from proa.cli.session import NoTrunc, Output, Session
from proa.cli.tables import Column
from proa.cli.text import duration, human_size, word

_SIZE = 8  # longest text of `human_size`
_COLUMNS = (
    Column("NAME", least=16),
    Column("KIND", rank=7, wide=9),
    Column("CPU %", wide=6),
    Column("MEMORY", rank=1, wide=_SIZE),
    Column("OF", rank=6, wide=_SIZE),
    Column("NET IN", rank=2, wide=_SIZE),
    Column("NET OUT", rank=3, wide=_SIZE),
    Column("READ", rank=4, wide=_SIZE),
    Column("WRITTEN", rank=5, wide=_SIZE),
)
_PATIENCE = 5


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("top")(top)


def top(
    ctx: typer.Context,
    *,
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID...]", help="Only these; default: all that run."),
    ] = None,
    kind: filters.Kinds = None,
    label: filters.Labels = None,
    name: filters.Name = "",
    image: filters.Image = "",
    host: filters.Hosts = None,
    owner: filters.Owners = None,
    interval: Annotated[
        timedelta | None,
        typer.Option(
            parser=duration, metavar="TIME", show_default="1s", help="Between two samples."
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="One table, after two samples.")] = False,
    no_trunc: NoTrunc = False,
    output: Output = None,
) -> None:
    """Show what containers and virtual machines use, until Ctrl-C; the busiest first."""
    session = Session.of(ctx, output)
    request = v1.StreamStatsRequest(ids=ids)
    which = filters.chosen(kind, label, None, name, image, host, owner)
    if which.ByteSize():
        request.filter.CopyFrom(which)
    if interval is not None:
        request.interval.FromTimedelta(interval)
    with exits.until_interrupted(), session.connect() as client:
        samples: Iterable[v1.StreamStatsResponse] = client.resources.StreamStats(request)
        if once:
            samples = [_first_full(samples, len(set(ids or ())))]
        if session.as_json:
            _write_lines(_explained(samples))
        elif once or no_trunc or not on_terminal():
            for response in _explained(samples):
                write_table(_COLUMNS, _rows(response.stats), whole=no_trunc)
        else:
            _show(samples)


def _first_full(samples: Iterable[v1.StreamStatsResponse], least: int) -> v1.StreamStatsResponse:
    """Return the first response with the CPU usage of all, of at least as many resources.

    CPU usage takes two samples, and an engine may be slow to give the first. Without running
    resources no such response comes; for named resources the reason is in the response.
    """
    response = v1.StreamStatsResponse()
    for response in islice(samples, _PATIENCE):
        known = all(stats.HasField("cpu_percent") for stats in response.stats)
        if known and len(response.stats) + len(response.missing) >= max(1, least):
            break
    return response


def _explained(samples: Iterable[v1.StreamStatsResponse]) -> Iterator[v1.StreamStatsResponse]:
    """Write the reason of each missing sample once, to standard error."""
    explained = set()
    for response in samples:
        for message in _reasons(response):
            if message not in explained:
                explained.add(message)
                write_line(message, err=True)
        yield response


def _reasons(response: v1.StreamStatsResponse) -> list[str]:
    return [missing.message for missing in response.missing]


def _write_lines(samples: Iterable[v1.StreamStatsResponse]) -> None:
    for response in samples:
        for stats in response.stats:
            write_json(as_dict(stats))


def _show(samples: Iterable[v1.StreamStatsResponse]) -> None:
    console = make_console()
    with Live(console=console, auto_refresh=False) as live:
        for response in samples:
            table = make_table(_COLUMNS, _rows(response.stats), console, notes=_reasons(response))
            live.update(table, refresh=True)


def _rows(samples: Iterable[v1.ResourceStats]) -> Iterator[tuple[str, ...]]:
    for stats in sorted(samples, key=lambda stats: (-stats.cpu_percent, stats.name)):
        yield (
            stats.name,
            word(v1.ResourceKind, v1.ResourceKind.Name(stats.kind)),
            f"{stats.cpu_percent:.1f}" if stats.HasField("cpu_percent") else "",
            human_size(stats.memory_usage_bytes),
            human_size(stats.memory_limit_bytes),
            human_size(stats.network.receive_bytes),
            human_size(stats.network.transmit_bytes),
            human_size(stats.block.read_bytes),
            human_size(stats.block.write_bytes),
        )
