"""docs/refusals.md has the drivers' tables, and each row has a test that provokes it."""

import errno

import libvirt

from integration.libvirt.provocations import PROVOCATIONS
from proad.drivers.libvirt.refusals import REFUSALS, Refusal
from readme import README
from unit.readme.test_tables import rows

PAGE = README.parent / "docs/refusals.md"
UNTOLD = ""


def name_of(number: int | None, prefix: str) -> str:
    """Return libvirt's name of one of its numbers, without the prefix."""
    names = [
        name.removeprefix(prefix)
        for name, value in vars(libvirt).items()
        if name.startswith(prefix) and value == number
    ]
    return names[0] if names else UNTOLD


def cells_of(row: Refusal) -> list[str]:
    """Return a row as the page has it."""
    code = name_of(row.code, "VIR_ERR_")
    if row.errnos:
        code += f" ({', '.join(sorted(errno.errorcode[each] for each in row.errnos))})"
    text = f"`{row.text.pattern}`".replace("|", "\\|") if row.text else UNTOLD
    return [
        row.name,
        code,
        name_of(row.source, "VIR_FROM_"),
        text,
        str(row.meaning),
        f"`{row.field}`" if row.field else UNTOLD,
        ", ".join(row.seen) or UNTOLD,
    ]


def libvirt_rows() -> list[list[str]]:
    """Return the driver's table as the page has it."""
    return [cells_of(row) for row in REFUSALS]


def test_page_has_table_of_libvirt():
    told = ["|".join(cells) for cells in rows(PAGE, "| what is wrong | number of libvirt |")]
    assert told == ["|".join(cells) for cells in libvirt_rows()]


def test_rows_of_libvirt_are_provoked_or_said_not_to_be():
    assert {row.name for row in REFUSALS if row.seen} == {each.row for each in PROVOCATIONS}
    assert len({row.name for row in REFUSALS}) == len(REFUSALS)
