"""Files of real containers that take the place of others: by a rename where the container can do it."""

import asyncio
import io
import os
import signal
import tarfile
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path

import docker
import pytest

from eventually import eventually
from integration.docker.inside_containers import Run
from integration.docker.private_engine import PrivateEngine
from integration.docker.test_files import listed, read, shell_is, write
from integration.docker.workloads import IMAGE, Make
from proad.drivers.docker import DockerDriver
from proad.drivers.docker.archive.replacing import Renaming, Replacing
from proad.drivers.docker.running_command import ContainerCommand
from proad.errors import (
    CapabilityMissingError,
    EngineConflictError,
    EngineUnreachableError,
    FileNotFoundInsideError,
    ProaError,
)
from proad.model import (
    ContainerSpec,
    FileRemoval,
    FileWrite,
    NetworkAttachment,
    Resource,
    StopMode,
    StopOptions,
)
from resource_details import container_of

pytestmark = pytest.mark.docker

FILE = "/srv-of-test/file"
LARGE = 300_000_000
GENEROUS = 60


@pytest.fixture
async def old(driver: DockerDriver, box: Resource, run: Run) -> None:
    """A file that is to be replaced."""
    await run("mkdir", "/srv-of-test")
    await write(driver, box, FILE, b"old", overwrite=False)


async def is_alone(driver: DockerDriver, box: Resource) -> bool:
    return [each.name for each in await listed(driver, box, "/srv-of-test")] == ["file"]


async def is_missing(driver: DockerDriver, box: Resource, path: str) -> bool:
    try:
        await driver.stat_file(box.id, path)
    except FileNotFoundInsideError:
        return True
    return False


@pytest.mark.usefixtures("old")
async def test_who_reads_meanwhile_sees_one_file_or_the_other(
    driver: DockerDriver, box: Resource, run: Run
):
    script = f"""
        while [ ! -e /stop ]; do
            case $(cat {FILE} 2>&1 | sha256sum) in $1*|$2*|$3*) ;; *) echo torn; exit 1 ;; esac
        done
        echo whole
    """
    data = [os.urandom(3_000_000) for _ in range(2)]
    await write(driver, box, FILE, data[0])
    await write(driver, box, "/0", b"old")
    await write(driver, box, "/1", data[0])
    await write(driver, box, "/2", data[1])
    sums = (await run("sha256sum", "/0", "/1", "/2"))[0].split()[::2]
    looking = asyncio.create_task(run("sh", "-c", script, "sh", *(each.decode() for each in sums)))
    for number in range(6):
        await write(driver, box, FILE, data[number % 2])
    await run("touch", "/stop")
    assert (await looking)[0] == b"whole\n"
    assert await is_alone(driver, box)


@pytest.mark.usefixtures("old")
async def test_link_owner_and_mode_are_as_those_of_new_files(
    driver: DockerDriver, box: Resource, run: Run
):
    await run("sh", "-c", f"ln -s {FILE} /link; ln {FILE} /second")
    what = FileWrite(path="/link", size_bytes=3, overwrite=True, mode=0o4750, uid=7, gid=8)
    async with driver.write_file(box.id, what) as writer:
        await writer.write(b"new")
        await writer.commit()
    said = (await run("stat", "-c", "%a %u %g %h", FILE))[0]
    assert said == b"4750 7 8 1\n"
    assert (await run("cat", "/second"))[0] == b"old"
    assert (await run("readlink", "/link"))[0].decode().strip() == FILE
    assert await is_alone(driver, box)


async def test_engine_that_dies_meanwhile_leaves_the_old_file(engine: PrivateEngine):
    engine.start()
    async with DockerDriver(engine.url) as driver:
        await eventually(partial(engine.answers, driver), within=GENEROUS)
        await engine.import_image()
        spec = ContainerSpec(
            image=IMAGE,
            command=("sleep", "1000"),
            networks=(NetworkAttachment(network="none"),),
        )
        box = (await driver.create_container(spec, start=True)).resource
        await write(driver, box, "/file", b"old")
        root = Path(f"/proc/{container_of(await driver.get_resource(box.id)).pid}/root")
        writing = asyncio.create_task(write(driver, box, "/file", bytes(LARGE)))

        def is_unpacked() -> bool:
            return any(each.stat().st_size > 1_000_000 for each in root.glob(".proa-*"))

        await eventually(is_unpacked, within=GENEROUS, every=0.001)
        engine.signal(signal.SIGKILL)
        with pytest.raises(ProaError):
            await writing
        assert (root / "file").read_bytes() == b"old"


async def test_engine_that_dies_before_the_rename_is_told_to_be_away(
    engine: PrivateEngine, monkeypatch: pytest.MonkeyPatch
):
    engine.start()
    async with DockerDriver(engine.url) as driver:
        await eventually(partial(engine.answers, driver), within=GENEROUS)
        await engine.import_image()
        spec = ContainerSpec(
            image=IMAGE,
            command=("sleep", "1000"),
            networks=(NetworkAttachment(network="none"),),
        )
        box = (await driver.create_container(spec, start=True)).resource
        await write(driver, box, "/file", b"old")
        root = Path(f"/proc/{container_of(await driver.get_resource(box.id)).pid}/root")
        rename = Renaming.rename

        async def dies_before(renaming: Renaming) -> bool:
            engine.signal(signal.SIGKILL)
            return await rename(renaming)

        monkeypatch.setattr(Renaming, "rename", dies_before)
        with pytest.raises(EngineUnreachableError):
            await asyncio.wait_for(write(driver, box, "/file", b"new"), GENEROUS)
        assert (root / "file").read_bytes() == b"old"


async def test_shell_needs_no_folder_that_the_container_has_removed(
    driver: DockerDriver, make: Make
):
    box = await make("sh", "-c", "rmdir /gone && exec sleep 1000", working_dir="/gone")
    await write(driver, box, "/file", b"old", overwrite=False)
    await eventually(partial(is_missing, driver, box, "/gone"))
    async with Replacing(driver.start_command).begun(box.id, "/file") as renaming:
        assert renaming is not None
    assert "file" in {each.name for each in await listed(driver, box, "/")}
    await driver.remove_file(box.id, FileRemoval(path="/file"))
    assert await is_missing(driver, box, "/file")


@pytest.mark.usefixtures("old")
async def test_daemon_that_dies_meanwhile_leaves_nothing(
    driver: DockerDriver, box: Resource, run: Run
):
    async with Replacing(driver.start_command).begun(box.id, FILE) as renaming:
        assert renaming is not None
        assert (await run("cat", renaming.path))[0] == b""
        stream = renaming._command._stream  # type: ignore[attr-defined] # its connection, as the kernel ends it
        stream.close()
        await eventually(partial(is_alone, driver, box))


@pytest.mark.usefixtures("old")
async def test_shell_that_is_killed_leaves_nothing(driver: DockerDriver, box: Resource, run: Run):
    async with Replacing(driver.start_command).begun(box.id, FILE) as renaming:
        assert renaming is not None
        await run("sh", "-c", f"echo new >{renaming.path}")
        await renaming._command.signal(signal.SIGKILL)
        assert not await renaming.rename()
    assert await is_alone(driver, box)
    assert (await read(driver, box, FILE))[1] == b"old"


@pytest.mark.usefixtures("old")
async def test_container_at_rest_has_its_file_replaced(driver: DockerDriver, box: Resource):
    await driver.pause(box.id)
    await write(driver, box, FILE, b"paused")
    assert (await read(driver, box, FILE))[1] == b"paused"
    await driver.stop(box.id, StopOptions(mode=StopMode.FORCE))
    await write(driver, box, FILE, b"stopped")
    assert (await read(driver, box, FILE))[1] == b"stopped"


@pytest.mark.usefixtures("old")
async def test_shell_that_is_frozen_replaces_nothing_later(
    driver: DockerDriver, box: Resource, run: Run
):
    async with Replacing(driver.start_command).begun(box.id, FILE) as renaming:
        assert renaming is not None
        renaming._step = 1
        await run("sh", "-c", f"echo late >{renaming.path}")
        await driver.pause(box.id)
        try:
            # Where its end is known, the engine replaces the file; else nobody says that it is replaced.
            with suppress(EngineConflictError):
                assert not await renaming.rename()
        finally:
            await driver.resume(box.id)
        await renaming.end()
    assert (await run("cat", FILE))[0] == b"old"


@pytest.mark.usefixtures("old")
async def test_shell_that_hangs_out_of_reach_is_a_conflict(
    driver: DockerDriver, box: Resource, run: Run, monkeypatch: pytest.MonkeyPatch
):
    async def refuse(self: ContainerCommand, number: int) -> None:
        raise CapabilityMissingError("signals", driver="docker", hint=str(number))

    await shell_is(run, HOSTILE["hangs then"])
    monkeypatch.setattr(ContainerCommand, "signal", refuse)
    is_ready = Renaming.is_ready

    async def is_ready_and_hurries(self: Renaming) -> bool:
        ready = await is_ready(self)
        self._step = 1
        return ready

    monkeypatch.setattr(Renaming, "is_ready", is_ready_and_hurries)
    with pytest.raises(EngineConflictError, match="does not end the renaming"):
        await write(driver, box, FILE, b"new")
    assert (await read(driver, box, FILE))[1] == b"old"


HOSTILE = {
    "none": "exit 93",
    "no file": "echo ready; cat >/dev/null",
    "no rename": 'touch "$5"; echo ready; cat >/dev/null',
    "says much": "yes",
    "nothing": "exit 0",
    "hangs": "sleep 1000",
    "hangs then": 'touch "$5"; echo ready; sleep 1000',
    "other file": 'rm -rf "$4"; mkdir "$4"; : >"$5"; echo ready; cat >/dev/null',
    "link": 'ln -sf /etc/passwd "$5"; echo ready; cat >/dev/null',
}


@pytest.mark.usefixtures("old")
@pytest.mark.parametrize("way", HOSTILE)
async def test_shell_that_lies_is_not_believed(
    driver: DockerDriver, box: Resource, run: Run, way: str
):
    await shell_is(run, HOSTILE[way])
    step = timedelta(seconds=2 if "hangs" in way else 60)
    driver.files._replacing._step = step  # type: ignore[attr-defined]
    passwd = (await read(driver, box, "/etc/passwd"))[1]
    if way == "other file":
        with pytest.raises(EngineConflictError):
            await write(driver, box, FILE, b"new")
    else:
        await write(driver, box, FILE, b"new")
        assert (await read(driver, box, FILE))[1] == b"new"
    assert (await read(driver, box, "/etc/passwd"))[1] == passwd


async def test_root_without_its_rights_leaves_nothing_behind(
    driver: DockerDriver, raw: docker.APIClient, make: Make
):
    box = await make("sleep", "1000", cap_drop=("ALL",))
    modes = {"private": 0o700, "of-others": 0o755, "sticky": 0o1777, "open": 0o777}
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, mode in modes.items():
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode, folder.uid, folder.gid = tarfile.DIRTYPE, mode, 1000, 1000
            archive.addfile(folder)
    assert raw.put_archive(box.id, "/", made.getvalue())
    root = Path(f"/proc/{container_of(box).pid}/root")
    for name in modes:
        for data in (b"old", b"newer"):
            what = FileWrite(
                path=f"/{name}/file", size_bytes=len(data), overwrite=True, uid=1000, gid=1000
            )
            async with driver.write_file(box.id, what) as writer:
                await writer.write(data)
                await writer.commit()
        assert [each.name for each in (root / name).iterdir()] == ["file"]
        assert (root / name / "file").read_bytes() == b"newer"
