"""Tables for people: one line for each row, whatever is in it and however narrow the terminal."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from proa.cli.tables import Column, make_table
from proa.cli.text import human_size

COLUMNS = (
    Column("ID", rank=2),
    Column("NAME", least=8),
    Column("STATE", rank=1),
    Column("WHAT", rank=3, least=6),
)
ROWS = [
    ("0123456789ab", "web", "running", "debian:12"),
    (
        "9f8e7d6c",
        "Größe-日本語-é-und-noch-mehr",
        "stopped (137)",
        "4 vCPU, 8 GiB",
    ),
]


def drawn(columns, rows, width, *, ruled=False):
    table, wide = make_table(columns, rows, width=width, ruled=ruled)
    out = io.StringIO()
    Console(file=out, width=width or wide).print(table)
    return [line.rstrip() for line in out.getvalue().splitlines()]


WHOLE = """\
ID            NAME                          STATE          WHAT
0123456789ab  web                           running        debian:12
9f8e7d6c      Größe-日本語-é-und-noch-mehr  stopped (137)  4 vCPU, 8 GiB
"""
AT_60 = """\
ID            NAME                     STATE          WHAT
0123456789ab  web                      running        debia…
9f8e7d6c      Größe-日本語-é-und-noc…  stopped (137)  4 vCP…
"""
AT_40 = """\
ID            NAME         STATE
0123456789ab  web          running
9f8e7d6c      Größe-日本…  stopped (137)
"""
AT_30 = """\
NAME             STATE
web              running
Größe-日本語-é…  stopped (137)
"""
AT_14 = """\
NAME
web
Größe-日本語-…
"""


@pytest.mark.parametrize(
    ("width", "text"), [(None, WHOLE), (60, AT_60), (40, AT_40), (30, AT_30), (14, AT_14)]
)
def test_table_drops_and_cuts_columns_by_rank(width, text):
    assert drawn(COLUMNS, ROWS, width) == text.splitlines()


@given(
    st.lists(st.tuples(*[st.text(max_size=60)] * 4), max_size=5),
    st.integers(4, 200),
    st.booleans(),
)
def test_table_of_any_texts_has_one_line_per_row_within_the_width(rows, width, ruled):
    lines = drawn(COLUMNS, rows, width, ruled=ruled)
    assert len(lines) == 1 + ruled + len(rows)
    assert max(map(cell_len, lines)) <= width


@given(st.lists(st.tuples(*[st.text(max_size=400)] * 4), min_size=1, max_size=3))
def test_table_without_a_width_is_uncut(rows):
    lines = drawn(COLUMNS, rows, None)
    assert len(lines) == 1 + len(rows)
    assert all(heading in lines[0] for heading in ("ID", "NAME", "STATE", "WHAT"))
    assert sum(line.count("…") for line in lines) == sum(
        cell.count("…") for row in rows for cell in row
    )


@given(st.integers(0, 2**50 - 1))
def test_human_size_has_at_most_eight_characters_and_no_exponent(count):
    assert len(human_size(count)) <= 8
    assert "e" not in human_size(count)
