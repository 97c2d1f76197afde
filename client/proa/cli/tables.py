"""Tables with one line per row, whatever the width of the terminal."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table
from rich.text import Text

from proa.cli.text import escaped

_GAP = 2
# Width that every column may take before any column gets more.
_FAIR = 24


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        heading: heading of the column.
        rank: order in which columns are left out of a narrow table: the highest first, rank 0
            never. Remaining width goes to the lowest first.
        least: minimum width; longer cells are cut with an ellipsis. None: cells are never
            cut, only the whole column is left out.
        wide: width even if no cell needs it, so that a table that is redrawn keeps its shape.
    """

    heading: str
    rank: int = 0
    least: int | None = None
    wide: int = 0


def shown(text: str) -> Text:
    """Return a text that a console shows literally, with special characters escaped."""
    return Text(escaped(text))


def make_table(
    columns: Sequence[Column],
    rows: Iterable[Sequence[str]],
    *,
    width: int | None,
    ruled: bool,
) -> tuple[Table, int]:
    """Return a table and its width.

    Args:
        columns: the columns.
        rows: the cells of each row; texts of any origin.
        width: width of the terminal; None to cut and leave out nothing.
        ruled: whether to draw a rule under the headings.
    """
    texts = [[shown(cell) for cell in row] for row in rows]
    full = [
        max(column.wide, len(column.heading), *(cell.cell_len for cell in cells))
        for column, *cells in zip(columns, *texts, strict=True)
    ]
    widths = full if width is None else _widths(columns, full, width)
    kept = [index for index, wide in enumerate(widths) if wide]
    table = Table(
        box=box.SIMPLE_HEAD if ruled else None,
        show_edge=False,
        pad_edge=False,
        padding=(0, _GAP - 1 if ruled else _GAP, 0, 0),
    )
    for index in kept:
        table.add_column(
            columns[index].heading, width=widths[index], no_wrap=True, overflow="ellipsis"
        )
    for row in texts:
        table.add_row(*(row[index] for index in kept))
    return table, sum(widths[index] + _GAP for index in kept) - _GAP


def _widths(columns: Sequence[Column], full: Sequence[int], width: int) -> list[int]:
    """Return the width of each column; 0 for a column that is left out."""
    least = [
        wide if column.least is None else min(wide, max(column.least, len(column.heading)))
        for column, wide in zip(columns, full, strict=True)
    ]
    kept = set(range(len(columns)))
    by_rank = sorted(kept, key=lambda index: columns[index].rank)
    while _total(least, kept) > width and columns[by_rank[-1]].rank > 0:
        kept.remove(by_rank.pop())
    widths = [wide if index in kept else 0 for index, wide in enumerate(least)]
    room = max(0, width - _total(least, kept))
    for most in (_FAIR, width):
        for index in by_rank:
            more = max(0, min(full[index], most) - widths[index])
            widths[index] += min(more, room)
            room -= min(more, room)
    return widths


def _total(widths: Sequence[int], kept: Iterable[int]) -> int:
    return sum(widths[index] + _GAP for index in kept) - _GAP
