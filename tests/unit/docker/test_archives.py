"""What of an engine's archives is believed, and what becomes of those that go wrong."""

import errno
import os
import tarfile
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from proad.drivers.docker import DockerDriver
from proad.drivers.docker.archive.room import Room
from proad.drivers.docker.archive.spool import Spool
from proad.errors import (
    CapabilityMissingError,
    EngineConflictError,
    HostExhaustedError,
    InvalidArgumentError,
    ProaError,
)
from proad.model import FileInfo, FileRead, FileWrite
from unit.docker.archive_engine import END, ID, ArchiveEngine, engine_with_archive, member

Both = tuple[ArchiveEngine, DockerDriver]


@pytest.fixture
async def both() -> AsyncIterator[Both]:
    with tempfile.TemporaryDirectory(prefix="proa-test-") as folder:
        async with engine_with_archive(Path(folder)) as both:
            yield both


async def read(driver: DockerDriver, path: str = "/a/file", **part: int) -> tuple[FileInfo, bytes]:
    data = b""
    async with driver.read_file(ID, FileRead(path=path, **part)) as reader:
        async for piece in reader.data():
            data += piece
        return reader.info, data


def extended(*records: tuple[str, str]) -> bytes:
    """Return an extended header with these records."""
    lines = b""
    for key, value in records:
        text = f" {key}={value}\n".encode()
        length = len(text) + len(str(len(text)))
        length = len(text) + len(str(length))
        lines += str(length).encode() + text
    return raw_extended(lines)


def raw_extended(lines: bytes, size: int | None = None) -> bytes:
    made = tarfile.TarInfo("x")
    made.type, made.size = tarfile.XHDTYPE, len(lines) if size is None else size
    return made.tobuf(tarfile.USTAR_FORMAT) + lines + bytes(-len(lines) % 512)


async def test_file_of_an_engine_is_read(both: Both):
    engine, driver = both
    engine.archive = member(mode=0o640, uid=5, gid=6) + END
    info, data = await read(driver)
    assert data == b"data"
    assert (info.name, info.size_bytes, info.mode, info.uid, info.gid) == ("file", 4, 0o640, 5, 6)


async def test_extended_header_is_read(both: Both):
    engine, driver = both
    records = (("path", "file"), ("size", "4"), ("uid", "70000"), ("mtime", "1700000000.5"))
    engine.archive = extended(*records) + member("other-name") + END
    info, data = await read(driver)
    assert (data, info.uid, info.name) == (b"data", 70000, "file")
    assert info.modify_time is not None
    assert info.modify_time.year == 2023


@pytest.mark.parametrize("more", [b"!", b"!" * 2000])
@pytest.mark.parametrize("by_extension", [False, True])
async def test_file_that_has_grown_is_read_as_far_as_it_was(
    both: Both, more: bytes, *, by_extension: bool
):
    engine, driver = both
    engine.archive = member(data=b"data" + more) + END
    if by_extension:
        engine.archive = extended(("size", str(4 + len(more)))) + engine.archive
    info, data = await read(driver)
    assert (data, info.size_bytes) == (b"data", 4)
    assert (await read(driver, offset=2))[1] == b"ta"


def typed(type: bytes, **fields: Any) -> bytes:
    return member(data=b"", type=type, **fields) + END


HOSTILE = {
    "nothing": END,
    "empty": b"",
    "no header": b"x" * 512 + END,
    "cut header": member()[:300],
    "cut content": member()[:514],
    "cut padding": member()[:700],
    "another name": member("passwd") + END,
    "a path": member("../file") + END,
    "an absolute path": member("/etc/file") + END,
    "a link": typed(tarfile.SYMTYPE, linkname="/etc/shadow"),
    "a hard link": typed(tarfile.LNKTYPE, linkname="/etc/shadow"),
    "a directory": typed(tarfile.DIRTYPE),
    "a device": typed(tarfile.CHRTYPE, devmajor=1, devminor=1),
    "a pipe": typed(tarfile.FIFOTYPE),
    "sparse": typed(tarfile.GNUTYPE_SPARSE),
    "sparse by extension": extended(("GNU.sparse.major", "1")) + member() + END,
    "global header": typed(tarfile.XGLTYPE),
    "long name of GNU": member("file", b"x" * 4, type=tarfile.GNUTYPE_LONGNAME) + member() + END,
    "smaller": member(data=b"dat") + END,
    "smaller by extension": extended(("size", "3")) + member() + END,
    "no number by extension": extended(("size", "-1")) + member() + END,
    "endless number": extended(("size", "9" * 5000)) + member() + END,
    "another name by extension": extended(("path", "passwd")) + member() + END,
    "extension without equals": raw_extended(b"7 path\n") + member() + END,
    "extension of a wrong length": raw_extended(b"99 path=file\n") + member() + END,
    "extension without end": raw_extended(b"12 path=file") + member() + END,
    "extension of length zero": raw_extended(b"0 path=file\n") + member() + END,
    "huge extension": raw_extended(b"", 2**32) + member() + END,
    "two extensions": extended(("path", "file")) * 2 + member() + END,
    "second file": member() + member("file") + END,
    "second header": member() + b"x" * 512,
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_archive_that_is_not_the_one_file_is_refused(both: Both, name: str):
    engine, driver = both
    engine.archive = HOSTILE[name]
    with pytest.raises(EngineConflictError):
        await read(driver)


TOLD = {
    "no base64": "!",
    "no JSON": "eA==",
    "a list": "W10=",
    "huge": "QUFB" * 10_000,
}


@pytest.mark.parametrize("name", TOLD)
async def test_file_of_which_odd_things_are_told_is_refused(both: Both, name: str):
    engine, driver = both
    engine.header = TOLD[name]
    with pytest.raises(ProaError):
        await read(driver)


@pytest.mark.parametrize("target", ["", "etc/shadow", "/proc/1/root/etc", "/dev/file", "/sys"])
async def test_link_that_leads_where_nothing_is_seen_is_refused(both: Both, target: str):
    engine, driver = both
    engine.links = {"/a": target}
    with pytest.raises((CapabilityMissingError, EngineConflictError)):
        await read(driver)


async def test_link_that_leads_to_links_for_ever_is_refused(both: Both):
    engine, driver = both
    engine.links = {"/a/file": "/a/file"}
    with pytest.raises(InvalidArgumentError):
        await read(driver)


async def test_part_of_a_file_ends_with_the_part_though_the_engine_goes_on(both: Both):
    engine, driver = both
    engine.told, engine.stays = {"size": 2**40}, True
    engine.archive = member(data=b"")[:0]
    made = tarfile.TarInfo("file")
    made.size = 2**40
    engine.archive = made.tobuf(tarfile.PAX_FORMAT) + b"0123456789"
    assert (await read(driver, offset=3, length=4))[1] == b"3456"
    await engine.hung_up.wait()


async def test_file_for_which_there_is_no_room_is_refused(both: Both):
    engine, driver = both
    engine.told = {"size": 2**50}
    with pytest.raises(HostExhaustedError):
        await read(driver)
    what = FileWrite(path="/a/file", size_bytes=2**50, overwrite=True)
    with pytest.raises(HostExhaustedError):
        async with driver.write_file(ID, what):
            pytest.fail("there is room")


async def test_room_of_files_that_are_given_up_is_free_again():
    spool = Spool(Room(10))
    with spool.file(5) as first:
        first.append(b"12345")
        with pytest.raises(HostExhaustedError), spool.file(1):
            pytest.fail("there is room")
        with spool.file(0) as second, pytest.raises(HostExhaustedError):
            second.append(b"1")
    with spool.file(5) as file:
        file.append(b"12345")


async def test_file_that_is_announced_and_does_not_come_takes_no_room():
    spool = Spool(Room(10))
    with spool.file(5), spool.file(5) as other:
        other.append(b"12345")


async def test_reader_who_goes_away_ends_the_engine_s_answer(both: Both):
    engine, driver = both
    engine.told, engine.stays = {"size": 2**30}, True
    made = tarfile.TarInfo("file")
    made.size = 2**30
    engine.archive = made.tobuf(tarfile.PAX_FORMAT) + bytes(10**6)
    async with driver.read_file(ID, FileRead(path="/a/file")) as reader:
        assert not any(await anext(reader.data()))
    await engine.hung_up.wait()


async def test_reader_who_goes_away_with_bytes_on_the_way_ends_the_engine_s_answer(both: Both):
    engine, driver = both
    engine.told, engine.stays = {"size": 2**30}, True
    made = tarfile.TarInfo("file")
    made.size = 2**30
    engine.archive = made.tobuf(tarfile.PAX_FORMAT) + bytes(5 * 10**7)  # more than is taken by then
    async with driver.read_file(ID, FileRead(path="/a/file")) as reader:
        assert not any(await anext(reader.data()))
    await engine.hung_up.wait()


@pytest.mark.parametrize(("mode", "left"), [(0o644, "as it was"), (0o4755, "torn or gone")])
async def test_refused_upload_tells_the_engine_s_own_words(both: Both, mode: int, left: str):
    engine, driver = both
    engine.refusal = (500, "no space left on device")
    what = FileWrite(path="/a/file", size_bytes=4, overwrite=True, mode=mode)
    async with driver.write_file(ID, what) as writer:
        await writer.write(b"data")
        with pytest.raises(ProaError, match=rf"no space left.*{left}"):
            await writer.commit()
    assert len(engine.uploads) == 1


async def test_disk_that_cannot_be_looked_at_is_told():
    def free() -> int:
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))

    with (
        pytest.raises(HostExhaustedError, match="No such file"),
        Spool(Room(10, free=free)).file(1),
    ):
        pytest.fail("there is room")
