"""File systems of containers that have no room for what is written: nothing is torn, nothing is left."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from eventually import eventually
from integration.docker.inside_containers import Run
from integration.docker.test_files import shell_is, write
from integration.docker.workloads import Make
from proad.drivers.docker import DockerDriver
from proad.errors import HostExhaustedError
from proad.model import BindMount, FileWrite, Mount, Resource, StopMode, StopOptions
from small_file_systems import small_file_system

pytestmark = pytest.mark.docker

OLD = b"old" * 100_000
LARGE = bytes(1_900_000)
STATES = ("running", "without a shell", "paused", "stopped")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of one mebibyte."""
    with small_file_system(tmp_path / "small", "size=1m") as folder:
        yield folder


@pytest.fixture
async def box(make: Make, small: Path) -> Resource:
    mounts = (Mount(target="/small", bind=BindMount(source=str(small))),)
    return await make("sleep", "1000", mounts=mounts)


async def come_to(driver: DockerDriver, box: Resource, run: Run, state: str) -> None:
    match state:
        case "without a shell":
            await shell_is(run, "exit 93")
        case "paused":
            await driver.pause(box.id)
        case "stopped":
            await driver.stop(box.id, StopOptions(mode=StopMode.FORCE))


def content(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in folder.iterdir()}


async def has(folder: Path, expected: dict[str, bytes]) -> None:
    # The shell of a container removes what is beside when its input ends.
    await eventually(lambda: content(folder) == expected)


@pytest.mark.parametrize("state", STATES)
async def test_old_file_stays(
    driver: DockerDriver, box: Resource, run: Run, small: Path, state: str
):
    await write(driver, box, "/small/file", OLD)
    await come_to(driver, box, run, state)
    with pytest.raises(HostExhaustedError, match=r"no space left .*, and the file is as it was"):
        await write(driver, box, "/small/file", LARGE)
    await has(small, {"file": OLD})
    await write(driver, box, "/small/file", b"new")
    await has(small, {"file": b"new"})


@pytest.mark.parametrize("state", STATES)
async def test_new_file_leaves_no_part(
    driver: DockerDriver, box: Resource, run: Run, small: Path, state: str
):
    await come_to(driver, box, run, state)
    with pytest.raises(HostExhaustedError, match=r"no space left .*, and there is no such file"):
        await write(driver, box, "/small/file", LARGE)
    await has(small, {})
    await write(driver, box, "/small/file", OLD)
    await has(small, {"file": OLD})


@pytest.mark.parametrize("state", STATES[1:])
@pytest.mark.parametrize("mode", [0o640, 0o4750])
async def test_file_that_no_shell_replaces_has_its_owner_and_mode(
    driver: DockerDriver, box: Resource, run: Run, small: Path, state: str, mode: int
):
    name = "n" * 250
    await write(driver, box, f"/small/{name}", OLD)
    (small / "second").hardlink_to(small / name)
    await come_to(driver, box, run, state)
    what = FileWrite(
        path=f"/small/{name}", size_bytes=3, overwrite=True, mode=mode, uid=1000, gid=70_000
    )
    async with driver.write_file(box.id, what) as writer:
        await writer.write(b"new")
        await writer.commit()
    await has(small, {name: b"new", "second": OLD})
    status = (small / name).stat()
    assert (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (mode, 1000, 70_000)
