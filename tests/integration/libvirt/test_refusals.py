"""Every row of the table of refusals, provoked on the real engine."""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import libvirt
import pytest

from integration.libvirt.provocations import PROVOCATIONS
from integration.libvirt.provoking import Ground, Provocation
from proad.drivers.libvirt import refusals
from requirements import skip_or_fail

pytestmark = pytest.mark.libvirt
URI = os.environ.get("PROA_LIBVIRT_URI", "qemu:///system")


@pytest.fixture(scope="module")
def raw() -> Iterator[libvirt.virConnect]:
    try:
        connection = libvirt.open(URI)
    except libvirt.libvirtError as error:
        skip_or_fail(f"no libvirtd at {URI}: {error}")
    yield connection
    connection.close()


@pytest.fixture(scope="module")
def version(raw: libvirt.virConnect) -> str:
    number = raw.getLibVersion()
    return f"{number // 1_000_000}.{number // 1_000 % 1_000}"


@pytest.fixture
def ground(raw: libvirt.virConnect) -> Iterator[Ground]:
    folder = Path("/var/tmp") / f"proa-test-{secrets.token_hex(4)}"
    folder.mkdir(mode=0o755)
    pool = raw.storagePoolCreateXML(
        f"<pool type='dir'><name>{folder.name}</name><target><path>{folder}</path></target></pool>"
    )
    ground = Ground(raw, folder)
    yield ground
    ground.clear()
    pool.destroy()
    shutil.rmtree(folder)


def refused(provoke: Callable[[], object]) -> tuple[str, str]:
    """Return libvirt's message and its row, or None if libvirt did not refuse."""
    try:
        provoke()
    except libvirt.libvirtError as error:
        row = refusals.find(error)
        said = f"{error.get_error_code()}, {error.get_error_domain()}: {error}"
        return said, row.name if row is not None else ""
    return "nothing", ""


@pytest.mark.parametrize("provocation", PROVOCATIONS, ids=lambda each: each.row)
def test_refusal_when_provoked_matches_its_row(
    ground: Ground, version: str, provocation: Provocation
):
    (row,) = (row for row in refusals.REFUSALS if row.name == provocation.row)
    said, found = refused(lambda: provocation.provoke(ground))
    # Other versions accept the call, or refuse it with the message of another row.
    told_here = version in row.seen or version not in refusals.ALL
    assert (found == row.name) == told_here, said
