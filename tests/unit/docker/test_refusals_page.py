"""docs/refusals.md has the driver's table, with the call that provokes each row."""

from pathlib import Path

from integration.docker.odd_registry import ODD_REGISTRIES
from integration.docker.provocations import PROVOCATIONS
from proad.drivers.docker.refusals import REFUSALS, REGISTRIES, DockerRefusal

PAGE = Path(__file__).parents[3] / "docs/refusals.md"


def line(row: DockerRefusal, calls: list[str], fields: list[str]) -> str:
    blamed = ", ".join(f"`{field}`" for field in dict.fromkeys(fields) if field)
    cells = (row.name, row.meaning.value, blamed, "; ".join(calls), ", ".join(row.seen))
    return f"| {' | '.join(cells)} |"


def expected() -> list[str]:
    lines = []
    for row in REFUSALS:
        provoked = [each for each in PROVOCATIONS if each.row == row.name]
        lines.append(line(row, [each.call for each in provoked], [p.field for p in provoked]))
    for row in REGISTRIES[1:]:
        calls = [each.call for each in ODD_REGISTRIES if each.row == row.name]
        lines.append(line(row, calls, list(row.fields)))
    return lines


def test_page_shows_the_table():
    docker = PAGE.read_text().partition("\n## Docker\n")[2].partition("\n## ")[0]
    rows = [each for each in docker.splitlines() if each.startswith("| ")][1:]
    assert rows == expected()
