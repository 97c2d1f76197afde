"""Files inside containers of a real engine: their bytes, their links, what is mounted there."""

import asyncio
import hashlib
import os
import resource
import shlex
from contextlib import suppress
from pathlib import Path

import docker
import pytest

from eventually import eventually
from integration.docker.inside_containers import Run
from integration.docker.workloads import Make
from proad.drivers.docker import DockerDriver
from proad.errors import (
    CapabilityMissingError,
    EngineConflictError,
    FileNotFoundInsideError,
    InvalidArgumentError,
    ProaError,
    ResourceNotRunningError,
)
from proad.model import (
    PIECE,
    BindMount,
    DirectoryMake,
    FileInfo,
    FileRead,
    FileRemoval,
    FileType,
    FileWrite,
    Mount,
    Resource,
    StopMode,
    StopOptions,
    TmpfsMount,
    pieces,
)

pytestmark = pytest.mark.docker

MANY = 100_000_000


async def write(
    driver: DockerDriver, box: Resource, path: str, data: bytes, *, overwrite: bool = True
) -> None:
    what = FileWrite(path=path, size_bytes=len(data), overwrite=overwrite)
    async with driver.write_file(box.id, what) as writer:
        for piece in pieces(data):
            await writer.write(piece)
        await writer.commit()


async def read(driver: DockerDriver, box: Resource, path: str) -> tuple[FileInfo, bytes]:
    async with driver.read_file(box.id, FileRead(path=path)) as reader:
        return reader.info, b"".join([piece async for piece in reader.data()])


async def listed(driver: DockerDriver, box: Resource, path: str) -> list[FileInfo]:
    return [each async for each in driver.list_files(box.id, path)]


def names_in_spool() -> list[str]:
    """Return the open files of this process that have no name any more."""
    targets = []
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # that of the folder itself is closed by now
            targets.append(str(link.readlink()))
    gone = (target for target in targets if target.endswith(" (deleted)"))
    return [target for target in gone if target.startswith("/var/tmp/")]


async def test_100_mb_go_in_and_out_byte_by_byte(driver: DockerDriver, box: Resource, run: Run):
    block = os.urandom(PIECE)
    digest, count = hashlib.sha256(), MANY // PIECE
    what = FileWrite(path="/tmp/large", size_bytes=count * PIECE)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with driver.write_file(box.id, what) as writer:
        for _ in range(count):
            digest.update(block)
            await writer.write(block)
        await writer.commit()
    found, length = hashlib.sha256(), 0
    async with driver.read_file(box.id, FileRead(path=what.path)) as reader:
        async for piece in reader.data():
            found.update(piece)
            length += len(piece)

    stdout, _, _ = await run("sha256sum", what.path)
    assert stdout.split()[0].decode() == digest.hexdigest() == found.hexdigest()
    assert length == what.size_bytes
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000  # KiB
    assert not names_in_spool()


async def test_container_is_not_locked_while_nobody_reads(
    driver: DockerDriver, box: Resource, run: Run
):
    await run("sh", "-c", f"head -c {MANY} /dev/zero >/tmp/large")
    async with driver.read_file(box.id, FileRead(path="/tmp/large")) as reader:
        assert await anext(reader.data())
        await asyncio.wait_for(driver.stop(box.id, StopOptions(mode=StopMode.FORCE)), 30)


async def test_reader_who_goes_away_leaves_nothing(driver: DockerDriver, box: Resource, run: Run):
    await run("sh", "-c", f"head -c {MANY} /dev/zero >/tmp/large")
    for _ in range(5):
        async with driver.read_file(box.id, FileRead(path="/tmp/large")) as reader:
            assert await anext(reader.data())
    assert not names_in_spool()
    assert (await read(driver, box, "/etc/passwd"))[1]


async def test_links_stay_inside_the_container(driver: DockerDriver, box: Resource, run: Run):
    """What they name on the host, the daemon could read."""
    secret = Path("/var/tmp/proa-test-of-host")
    secret.write_text("of the host")
    try:
        await run("sh", "-c", f"ln -s {secret} /tmp/a; ln -s ../../../..{secret} /tmp/b")
        await run("sh", "-c", "ln -s /var/tmp /tmp/folder; ln -s /proc/1/root /tmp/root")
        for path in ("/tmp/a", "/tmp/b", "/tmp/folder/proa-test-of-host"):
            with pytest.raises(FileNotFoundInsideError):
                await read(driver, box, path)
        with pytest.raises(CapabilityMissingError):
            await read(driver, box, f"/tmp/root{secret}")
        await run("mkdir", "-p", "/var/tmp")
        await write(driver, box, "/tmp/a", b"of the box")
        assert secret.read_text() == "of the host"
        assert (await run("cat", str(secret)))[0] == b"of the box"
        stat = await driver.stat_file(box.id, "/tmp/b")
        assert (stat.type, stat.link_target) == (FileType.SYMLINK, str(secret))
    finally:
        secret.unlink()


async def test_link_that_is_removed_leaves_its_target(
    driver: DockerDriver, box: Resource, run: Run
):
    await run("sh", "-c", "mkdir /tmp/d; touch /tmp/d/f; ln -s /tmp/d /tmp/l")
    await driver.remove_file(box.id, FileRemoval(path="/tmp/l", recursive=True))
    assert (await run("ls", "/tmp/d"))[0] == b"f\n"


UNSEEN = [
    *("/proc/version", "/sys/kernel", "/dev/null", "/dev/shm/file", "/scratch/file", "/r/file"),
    "/sbin/docker-init",
]


@pytest.fixture
async def mounted(make: Make) -> Resource:
    """A container with a tmpfs, and a link into it."""
    tmpfs = (Mount(target="/scratch", tmpfs=TmpfsMount(size_bytes=2**20)),)
    script = "echo hidden >/scratch/file; ln -s /scratch /r; exec sleep 1000"
    return await make("sh", "-c", script, mounts=tmpfs, init=True)


@pytest.mark.parametrize("path", UNSEEN)
async def test_path_that_the_archive_does_not_see_is_told(
    driver: DockerDriver, mounted: Resource, path: str
):
    with pytest.raises(CapabilityMissingError):
        await driver.stat_file(mounted.id, path)
    with pytest.raises(CapabilityMissingError):
        await read(driver, mounted, path)
    with pytest.raises(CapabilityMissingError):
        async with driver.write_file(mounted.id, FileWrite(path=path, overwrite=True)):
            pytest.fail("bytes are taken")
    with pytest.raises(CapabilityMissingError):
        await driver.make_directory(mounted.id, DirectoryMake(path=f"{path}/new", parents=True))


async def test_tmpfs_is_listed_and_cleaned(driver: DockerDriver, mounted: Resource):
    assert [each.name async for each in driver.list_files(mounted.id, "/r")] == ["file"]
    await driver.remove_file(mounted.id, FileRemoval(path="/r/file"))
    assert [each async for each in driver.list_files(mounted.id, "/scratch")] == []


async def test_volume_is_read_and_written(driver: DockerDriver, make: Make, tmp_path: Path):
    (tmp_path / "file").write_text("of the host")
    mounts = (
        Mount(target="/data", bind=BindMount(source=str(tmp_path))),
        Mount(target="/fixed", bind=BindMount(source=str(tmp_path)), read_only=True),
    )
    box = await make("sleep", "1000", mounts=mounts)
    assert (await read(driver, box, "/data/file"))[1] == b"of the host"
    await write(driver, box, "/data/new", b"of the box")
    assert (tmp_path / "new").read_text() == "of the box"
    with pytest.raises(EngineConflictError, match="read-only"):
        await write(driver, box, "/fixed/new", b"")


@pytest.mark.parametrize("name", ["hosts", "hostname", "resolv.conf"])
async def test_file_that_the_engine_mounts_is_read_and_not_replaced(
    driver: DockerDriver, box: Resource, run: Run, name: str
):
    path = f"/etc/{name}"
    assert (await read(driver, box, path))[1] == (await run("cat", path))[0]
    with pytest.raises(EngineConflictError, match="mount of its own"):
        async with driver.write_file(box.id, FileWrite(path=path, overwrite=True)):
            pytest.fail("bytes are taken")


async def test_read_only_container_is_not_written_to(driver: DockerDriver, make: Make):
    box = await make("sleep", "1000", read_only_root=True)
    with pytest.raises(EngineConflictError, match="read-only"):
        async with driver.write_file(box.id, FileWrite(path="/tmp/new")):
            pytest.fail("bytes are taken")
    with pytest.raises(EngineConflictError, match="read-only"):
        await driver.make_directory(box.id, DirectoryMake(path="/new"))


async def test_special_files_are_not_read(driver: DockerDriver, box: Resource, run: Run):
    await run("sh", "-c", "mkfifo /tmp/pipe; mknod /tmp/null c 1 3; mknod /tmp/disk b 8 0")
    types = {each.name: each.type async for each in driver.list_files(box.id, "/tmp")}
    assert types["pipe"] is FileType.FIFO
    for name in types:
        with pytest.raises(InvalidArgumentError):
            await read(driver, box, f"/tmp/{name}")


async def test_name_that_is_no_text_is_listed_as_it_is(
    driver: DockerDriver, box: Resource, run: Run
):
    await run("sh", "-c", r"touch $'/tmp/\xff\xfe' $'/tmp/a\nb'")
    files = {each.key: each async for each in driver.list_files(box.id, "/tmp")}
    assert set(files) == {b"\xff\xfe", b"a\nb"}
    assert (files[b"\xff\xfe"].name, files[b"\xff\xfe"].raw_name) == ("\ufffd\ufffd", b"\xff\xfe")


async def test_many_files_are_listed(driver: DockerDriver, box: Resource, run: Run):
    await run("sh", "-c", "mkdir /many; cd /many; seq 20000 | xargs touch")
    names = {each.name async for each in driver.list_files(box.id, "/many")}
    assert names == {str(number) for number in range(1, 20_001)}


async def test_container_without_tools_lists_nothing(driver: DockerDriver, box: Resource, run: Run):
    await shell_is(run, "echo stat >&2; exit 93")
    with pytest.raises(CapabilityMissingError, match="stat"):
        await listed(driver, box, "/")
    await run("rm", "/bin/sh")
    with pytest.raises(CapabilityMissingError, match="shell"):
        await listed(driver, box, "/")
    with pytest.raises(CapabilityMissingError, match="shell"):
        await driver.remove_file(box.id, FileRemoval(path="/etc"))
    assert (await read(driver, box, "/etc/passwd"))[1]


async def shell_is(run: Run, script: str) -> None:
    """Let another program be the shell of a container."""
    install = 'printf "%s\\n" "#!/bin/busybox sh" "$1" >/sh && chmod +x /sh && mv /sh /bin/sh'
    _, stderr, _ = await run("/bin/busybox", "sh", "-c", install, "sh", script)
    assert not stderr


LIES = [
    r"printf 'x\0'",
    r"printf '0\0'",
    r"printf '-1\0'",
    r"printf '1\0a\0'",
    r"printf '1\0a\0b\0'",
    r"printf '2\0a\0b\0001a4 1 1 1 1\0'",
    r"printf '99999999999999999999\0'",
    r"printf '1\0a\0fffffffff 1 1 1 1\0'",
    r"printf '1\0a\00081a4 99999999999999999999 1 1 1\0'",
    "yes",
    r"yes | tr '\n' '\0'",
    "yes >&2",
    "exit 3",
    "kill -KILL $$",
]


@pytest.mark.parametrize("script", LIES)
async def test_list_whose_tools_lie_is_an_error(
    driver: DockerDriver, box: Resource, run: Run, script: str
):
    await shell_is(run, f"/bin/busybox timeout 5 /bin/busybox sh -c {shlex.quote(script)}")
    with pytest.raises(ProaError):
        await listed(driver, box, "/")


async def test_file_that_grows_is_read_as_far_as_it_was(
    driver: DockerDriver, box: Resource, run: Run
):
    script = "mkdir /log; while :; do echo line >>/log/file; done >/dev/null &"
    await run("sh", "-c", script)

    async def has_begun() -> bool:
        with suppress(FileNotFoundInsideError):
            return (await driver.stat_file(box.id, "/log/file")).size_bytes > 0
        return False

    await eventually(has_begun)
    for _ in range(5):
        info, data = await read(driver, box, "/log/file")
        assert len(data) == info.size_bytes
        assert set(data.split(b"\n")[:-1]) == {b"line"}


async def test_container_that_ends_while_it_is_read_is_told(
    driver: DockerDriver, box: Resource, raw: docker.APIClient
):
    raw.remove_container(box.id, force=True)
    with pytest.raises(ProaError):
        await read(driver, box, "/etc/passwd")
    with pytest.raises((ProaError, ResourceNotRunningError)):
        await listed(driver, box, "/")
