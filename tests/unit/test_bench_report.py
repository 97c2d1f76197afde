"""The table that `make bench` prints."""

import io

import pytest
from rich.console import Console

from bench.report import Report, Row, Target


def _row(figure: float) -> Row:
    return Row(
        work="ListResources, a prefix of nothing, of 50000 : of 1000",
        ours="146 → 148 MB, peak 148",
        bare="3641/s (212 µs)",
        figure=figure,
        target=Target("≤", 1.5),
        note="How it was measured.",
    )


@pytest.mark.parametrize("width", [80, 130, 150])
def test_report_on_any_width_shows_each_verdict(width: int) -> None:
    text = io.StringIO()
    report = Report([_row(1.0), _row(3.0)], quick=True, seconds=1)
    report.show(Console(file=text, width=width))
    lines = text.getvalue().splitlines()
    assert ["pass" in line for line in lines if "≤" in line] == [True, False]
    assert ["MISS" in line for line in lines if "≤" in line] == [False, True]
