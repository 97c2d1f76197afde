"""docs/refusals.md has the table of the driver of libvirt, and each row has a test that provokes it."""

import errno
from pathlib import Path

import libvirt

from integration.libvirt.provocations import PROVOCATIONS
from proad.drivers.libvirt.refusals import REFUSALS, Refusal
from unit.readme.test_tables import rows

PAGE = Path(__file__).parents[3] / "docs/refusals.md"
# Of virErrorLevel, which has its names from the same beginning.
LEVELS = {"VIR_ERR_NONE", "VIR_ERR_WARNING", "VIR_ERR_ERROR"}


def name_of(number: int | None, prefix: str) -> str:
    """Return libvirt's name of one of its numbers, without the prefix."""
    names = [
        name.removeprefix(prefix)
        for name, value in vars(libvirt).items()
        if name.startswith(prefix) and value == number and name not in LEVELS
    ]
    return names[0] if names else ""


def cells_of(row: Refusal) -> list[str]:
    """Return a row as the page has it."""
    code = name_of(row.code, "VIR_ERR_")
    if row.errnos:
        code += f" ({', '.join(sorted(errno.errorcode[each] for each in row.errnos))})"
    calls = (each.call for each in PROVOCATIONS if each.row == row.name)
    return [
        row.name,
        f"`{code}`",
        name_of(row.source, "VIR_FROM_"),
        "yes" if row.text else "",
        str(row.meaning),
        f"`{row.field}`" if row.field else "",
        "; ".join(f"`{call}`" for call in calls),
        ", ".join(row.seen),
    ]


def libvirt_rows() -> list[list[str]]:
    """Return the driver's table as the page has it."""
    return [cells_of(row) for row in REFUSALS]


def test_page_has_the_table():
    told = ["|".join(cells) for cells in rows(PAGE, "| refused | number |")]
    assert told == ["|".join(cells) for cells in libvirt_rows()]


def test_rows_are_provoked_or_said_not_to_be():
    assert {row.name for row in REFUSALS if row.seen} == {each.row for each in PROVOCATIONS}
    assert len({row.name for row in REFUSALS}) == len(REFUSALS)
