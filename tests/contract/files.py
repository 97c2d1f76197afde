"""Obligations of `Files`."""

import hashlib
import os
from typing import Any

import pytest

from contract.harness import DriverHarness
from proad.errors import (
    AlreadyExistsError,
    EngineConflictError,
    FileNotFoundInsideError,
    InvalidArgumentError,
    ResourceNotRunningError,
    StateError,
)
from proad.model import (
    PIECE,
    DirectoryMake,
    FileInfo,
    FileRead,
    FileRemoval,
    FileType,
    FileWrite,
    Resource,
    pieces,
)
from proad.ports import Files

FOLDER = "/tmp/of-test"
MARKED = "\N{SNOWMAN} 'a' $b;\n*"


def files_of(harness: DriverHarness) -> Files:
    assert isinstance(harness.driver, Files)
    return harness.driver


async def write(
    harness: DriverHarness, resource: Resource, path: str, data: bytes, **how: Any
) -> None:
    what = FileWrite(path=path, size_bytes=len(data), **how)
    async with files_of(harness).write_file(resource.id, what) as writer:
        for piece in pieces(data):
            await writer.write(piece)
        await writer.commit()


async def read(
    harness: DriverHarness, resource: Resource, path: str, **how: Any
) -> tuple[FileInfo, bytes]:
    read = bytearray()
    async with files_of(harness).read_file(resource.id, FileRead(path=path, **how)) as reader:
        async for piece in reader.data():
            assert 0 < len(piece) <= PIECE
            read += piece
        return reader.info, bytes(read)


async def names(harness: DriverHarness, resource: Resource, path: str) -> set[str]:
    return {each.name async for each in files_of(harness).list_files(resource.id, path)}


async def with_folder(harness: DriverHarness) -> Resource:
    """Return a resource that runs and has an empty folder."""
    resource = await harness.running()
    await files_of(harness).make_directory(resource.id, DirectoryMake(path=FOLDER, parents=True))
    return resource


class FilesContract:
    async def test_file_is_read_as_it_was_written(self, harness: DriverHarness):
        resource = await with_folder(harness)
        for size in (0, 1, 511, 512, 513, PIECE, 300_001):
            data = os.urandom(size)
            path = f"{FOLDER}/{size}"
            await write(harness, resource, path, data, mode=0o640, uid=1, gid=2)
            info, found = await read(harness, resource, path)
            assert hashlib.sha256(found).digest() == hashlib.sha256(data).digest()
            told = (info.name, info.type, info.size_bytes, info.mode, info.uid, info.gid)
            assert told == (str(size), FileType.REGULAR, size, 0o640, 1, 2)
            assert info.modify_time is not None
            stat = await files_of(harness).stat_file(resource.id, path)
            assert (stat.name, stat.size_bytes, stat.mode) == (str(size), size, 0o640)
            assert stat.type is FileType.REGULAR

    async def test_part_of_file_is_read(self, harness: DriverHarness):
        resource, path = await with_folder(harness), f"{FOLDER}/file"
        data = os.urandom(200_000)
        await write(harness, resource, path, data)
        for offset, length in ((0, 10), (10, 100_000), (199_999, 10), (70_000, None), (0, 0)):
            end = None if length is None else offset + length
            found = await read(harness, resource, path, offset=offset, length=length)
            assert found[1] == data[offset:end]
        assert (await read(harness, resource, path, offset=200_000))[1] == b""
        assert (await read(harness, resource, path, offset=10**12, length=1))[1] == b""

    async def test_file_with_any_name_is_written_listed_and_removed(self, harness: DriverHarness):
        resource = await with_folder(harness)
        for name in (MARKED, "-rf", "a" * 255, " ", "\\", "%s", ".hidden", "..."):
            path = f"{FOLDER}/{name}"
            await write(harness, resource, path, b"data")
            assert await names(harness, resource, FOLDER) == {name}
            assert (await read(harness, resource, path))[1] == b"data"
            await files_of(harness).remove_file(resource.id, FileRemoval(path=path))
        assert await names(harness, resource, FOLDER) == set()

    async def test_file_is_overwritten_only_when_allowed(self, harness: DriverHarness):
        resource, path = await with_folder(harness), f"{FOLDER}/file"
        await write(harness, resource, path, b"one")
        with pytest.raises(AlreadyExistsError):
            await write(harness, resource, path, b"two")
        assert (await read(harness, resource, path))[1] == b"one"
        await write(harness, resource, path, b"three", overwrite=True, mode=0o600)
        info, data = await read(harness, resource, path)
        assert (data, info.mode) == (b"three", 0o600)

    async def test_file_that_is_not_committed_leaves_nothing(self, harness: DriverHarness):
        resource, path = await with_folder(harness), f"{FOLDER}/file"
        await write(harness, resource, path, b"one")
        for at in (path, f"{FOLDER}/other"):
            what = FileWrite(path=at, size_bytes=300_000, overwrite=True)
            async with files_of(harness).write_file(resource.id, what) as writer:
                await writer.write(bytes(PIECE))
        assert await names(harness, resource, FOLDER) == {"file"}
        assert (await read(harness, resource, path))[1] == b"one"

    async def test_what_is_not_there_is_told(self, harness: DriverHarness):
        resource, files = await with_folder(harness), files_of(harness)
        path = f"{FOLDER}/none"
        with pytest.raises(FileNotFoundInsideError):
            await files.stat_file(resource.id, path)
        with pytest.raises(FileNotFoundInsideError):
            await read(harness, resource, path)
        with pytest.raises(FileNotFoundInsideError):
            await names(harness, resource, path)
        with pytest.raises(FileNotFoundInsideError):
            await files.remove_file(resource.id, FileRemoval(path=path))
        with pytest.raises(FileNotFoundInsideError):
            await write(harness, resource, f"{path}/file", b"")
        with pytest.raises(FileNotFoundInsideError):
            await files.make_directory(resource.id, DirectoryMake(path=f"{path}/file"))

    async def test_what_is_of_the_wrong_type_is_told(self, harness: DriverHarness):
        resource, path = await with_folder(harness), f"{FOLDER}/file"
        await write(harness, resource, path, b"one")
        with pytest.raises(InvalidArgumentError):
            await read(harness, resource, FOLDER)
        with pytest.raises(InvalidArgumentError):
            await names(harness, resource, path)
        with pytest.raises(InvalidArgumentError):
            await write(harness, resource, FOLDER, b"", overwrite=True)
        with pytest.raises(InvalidArgumentError):
            await write(harness, resource, f"{path}/file", b"")
        with pytest.raises((InvalidArgumentError, FileNotFoundInsideError)):
            await files_of(harness).stat_file(resource.id, f"{path}/file")

    async def test_directory_is_made_with_those_above(self, harness: DriverHarness):
        resource, files = await with_folder(harness), files_of(harness)
        path = f"{FOLDER}/a/{MARKED}/c"
        await files.make_directory(resource.id, DirectoryMake(path=path, parents=True, mode=0o700))
        for at in (path, f"{FOLDER}/a"):
            made = await files.stat_file(resource.id, at)
            assert (made.type, made.mode) == (FileType.DIRECTORY, 0o700)
        await files.make_directory(resource.id, DirectoryMake(path=path, parents=True))
        assert (await files.stat_file(resource.id, path)).mode == 0o700
        with pytest.raises(AlreadyExistsError, match="choose another path"):
            await files.make_directory(resource.id, DirectoryMake(path=path))

    async def test_directory_is_removed_with_all_in_it_only_when_asked(
        self, harness: DriverHarness
    ):
        resource, files = await with_folder(harness), files_of(harness)
        path = f"{FOLDER}/a"
        await files.make_directory(resource.id, DirectoryMake(path=f"{path}/b", parents=True))
        await write(harness, resource, f"{path}/b/file", b"")
        with pytest.raises(EngineConflictError, match="set recursive"):
            await files.remove_file(resource.id, FileRemoval(path=path))
        assert await names(harness, resource, f"{path}/b") == {"file"}
        await files.remove_file(resource.id, FileRemoval(path=path, recursive=True))
        assert await names(harness, resource, FOLDER) == set()

    async def test_many_files_are_listed(self, harness: DriverHarness):
        resource = await with_folder(harness)
        wanted = {f"file-{number}" for number in range(20)}
        for name in wanted:
            await write(harness, resource, f"{FOLDER}/{name}", b"12", mode=0o604)
        async for each in files_of(harness).list_files(resource.id, FOLDER):
            told = (each.type, each.size_bytes, each.mode, each.raw_name)
            assert told == (FileType.REGULAR, 2, 0o604, b"")
            wanted.remove(each.name)
        assert not wanted


class FilesAtRestContract:
    async def test_files_of_resource_at_rest_are_reached(self, harness: DriverHarness):
        paused = await harness.make(start=True)
        await harness.driver.pause(paused.id)
        for resource in (await harness.make(), paused):
            await files_of(harness).make_directory(resource.id, DirectoryMake(path=FOLDER))
            await write(harness, resource, f"{FOLDER}/file", b"data")
            assert (await read(harness, resource, f"{FOLDER}/file"))[1] == b"data"
            with pytest.raises(StateError):
                await names(harness, resource, FOLDER)
            with pytest.raises(StateError):
                await files_of(harness).remove_file(resource.id, FileRemoval(path=FOLDER))


class NoFilesAtRestContract:
    async def test_files_of_resource_at_rest_are_refused(self, harness: DriverHarness):
        resource = await harness.make()
        with pytest.raises(ResourceNotRunningError):
            await files_of(harness).stat_file(resource.id, "/")
        with pytest.raises(ResourceNotRunningError):
            await read(harness, resource, "/file")
        with pytest.raises(ResourceNotRunningError):
            await write(harness, resource, "/file", b"")
        with pytest.raises(ResourceNotRunningError):
            await names(harness, resource, "/")
