"""Files inside resources through the clients and the command line, on a daemon of their own."""

import asyncio
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import proa
import proa.aio


@pytest.fixture
def client(daemon, token):
    with proa.connect(daemon, token=token) as client:
        yield client


def test_client_reads_what_it_wrote(client, web):
    data = os.urandom(300_000)
    written = client.write_file(web, "/etc/file", data, mode=0o600, uid=3)
    assert written.size_bytes == len(data)
    with client.read_file(web, "/etc/file") as file:
        assert file.read() == data
        assert (file.info.name, file.info.mode, file.info.uid) == ("file", 0o600, 3)
    assert client.read_file(web, "/etc/file", offset=5, length=7).read() == data[5:12]
    assert client.stat_file(web, "/etc/file").size_bytes == len(data)


def test_client_writes_from_files_and_pieces(client, web):
    file = io.BytesIO(b"0123456789")
    file.seek(4)
    client.write_file(web, "/etc/file", file)
    assert client.read_file(web, "/etc/file").read() == b"456789"
    client.write_file(
        web, "/etc/file", iter([b"a", b"", b"b" * 200_000]), size=200_001, overwrite=True
    )
    assert client.read_file(web, "/etc/file").read() == b"a" + b"b" * 200_000
    with pytest.raises(TypeError, match="size"):
        client.write_file(web, "/etc/other", iter([b"a"]))


class GrowingFile(io.BytesIO):
    """A file to which somebody adds whenever it is read."""

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        at = self.tell()
        self.seek(0, os.SEEK_END)
        self.write(b"more")
        self.seek(at)
        return data


def test_file_that_grows_is_written_as_far_as_it_was(client, daemon, token, web):
    async def write():
        async with proa.aio.connect(daemon, token=token) as asynchronous:
            await asynchronous.write_file(web, "/b", GrowingFile(b"whole"))
            await asynchronous.write_file(web, "/c", GrowingFile())

    client.write_file(web, "/a", GrowingFile(b"whole"))
    asyncio.run(write())
    read = [client.read_file(web, path).read() for path in ("/a", "/b", "/c")]
    assert read == [b"whole", b"whole", b""]


def test_client_is_told_why_nothing_was_written(client, web):
    client.write_file(web, "/etc/file", b"old")
    with pytest.raises(proa.AlreadyExists):
        client.write_file(web, "/etc/file", b"new" * 10**6)
    with pytest.raises(proa.InvalidArgument, match="bytes"):
        client.write_file(web, "/etc/file", iter([b"new"] * 10**5), size=5, overwrite=True)
    with pytest.raises(ZeroDivisionError):
        client.write_file(
            web, "/etc/file", (b"a" * (1 // n) for n in (1, 0)), size=5, overwrite=True
        )
    assert client.read_file(web, "/etc/file").read() == b"old"
    with pytest.raises(proa.NotFound) as refused:
        client.read_file(web, "/none")
    assert refused.value.reason == "FILE_NOT_FOUND"


def test_client_makes_lists_and_removes(client, web):
    client.make_directory(web, "/a/b", parents=True, mode=0o700)
    for number in range(5):
        client.write_file(web, f"/a/{number}", b"")
    found = list(client.list_files(web, "/a", page_size=2))
    assert [file.name for file in found] == ["0", "1", "2", "3", "4", "b"]
    client.remove_file(web, "/a", recursive=True)
    with pytest.raises(proa.NotFound):
        list(client.list_files(web, "/a"))


async def test_asyncio_client_does_the_same(daemon, token, web):
    data = os.urandom(300_000)

    async def pieces():
        for start in range(0, len(data), 70_000):
            await asyncio.sleep(0)
            yield data[start : start + 70_000]

    async with proa.aio.connect(daemon, token=token) as client:
        await client.make_directory(web, "/a")
        await client.write_file(web, "/a/file", pieces(), size=len(data))
        async with client.read_file(web, "/a/file") as file:
            assert (await file.read(), file.info.name) == (data, "file")
        with pytest.raises(proa.AlreadyExists):
            await client.write_file(web, "/a/file", data)
        with pytest.raises(proa.InvalidArgument):
            await client.write_file(web, "/a/file", pieces(), size=5, overwrite=True)
        with pytest.raises(proa.NotFound):
            async with client.read_file(web, "/a/none"):
                pytest.fail("it is there")
        assert (await client.stat_file(web, "/a/file")).size_bytes == len(data)
        assert [each.name async for each in client.list_files(web, "/a", page_size=1)] == ["file"]
        await client.remove_file(web, "/a", recursive=True)


def test_cp_copies_both_ways_with_permissions(ann, web, tmp_path):
    local, back = tmp_path / "local", tmp_path / "back"
    local.write_bytes(os.urandom(100_000))
    local.chmod(0o750)
    assert ann.ok("cp", str(local), f"{web}:/etc/remote") == ""
    ann.ok("cp", f"container/{web}:/etc/remote", str(back))
    assert back.read_bytes() == local.read_bytes()
    assert back.stat().st_mode & 0o7777 == 0o750


def test_cp_into_a_folder_keeps_the_name(ann, web, tmp_path):
    (tmp_path / "local").write_text("data")
    ann.ok("cp", str(tmp_path / "local"), f"{web}:/etc")
    folder = tmp_path / "folder"
    folder.mkdir()
    ann.ok("cp", f"{web}:/etc/local", str(folder))
    assert [each.name for each in folder.iterdir()] == ["local"]


def test_cp_replaces_a_local_link_and_not_what_it_leads_to(ann, web, tmp_path, client):
    client.write_file(web, "/etc/file", b"from inside", mode=0o4755)
    victim, link = tmp_path / "victim", tmp_path / "link"
    victim.write_text("mine")
    link.symlink_to(victim)
    ann.ok("cp", f"{web}:/etc/file", str(link))
    assert victim.read_text() == "mine"
    assert (link.read_text(), link.is_symlink()) == ("from inside", False)
    assert link.stat().st_mode & 0o7777 == 0o755


def test_cp_without_overwrite_leaves_what_is_there(ann, web, tmp_path, client):
    client.write_file(web, "/etc/file", b"inside")
    local = tmp_path / "local"
    local.write_text("mine")
    download = ann.run("cp", "--no-overwrite", f"{web}:/etc/file", str(local))
    way_out = "exists already; leave out --no-overwrite to put another in its place"
    assert (download.exit_code, download.stderr) == (7, f"Error: '{local}' {way_out}\n")
    upload = ann.run("cp", "--no-overwrite", str(local), f"{web}:/etc/file")
    assert (upload.exit_code, way_out in upload.stderr) == (7, True)
    assert local.read_text() == "mine"
    assert not list(tmp_path.glob(".proa-*"))
    assert client.read_file(web, "/etc/file").read() == b"inside"


def test_cp_of_a_local_name_with_a_colon(ann, web, tmp_path, monkeypatch, client):
    monkeypatch.chdir(tmp_path)
    Path("a:b").write_text("mine")
    refused = ann.run("cp", "a:b", f"{web}:/etc/file")
    assert (refused.exit_code, "./NAME" in refused.stderr) == (2, True)
    ann.ok("cp", "./a:b", f"{web}:/etc/file")
    assert client.read_file(web, "/etc/file").read() == b"mine"


def test_cp_that_fails_leaves_nothing(ann, web, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    for source in ("/none", "/etc"):
        assert ann.run("cp", f"{web}:{source}", str(folder / "new")).exit_code
    assert not list(folder.iterdir())
    for source in (folder / "none", folder):
        assert ann.run("cp", str(source), f"{web}:/etc/new").exit_code
    told = ann.run("cp", str(folder / "none"), f"{web}:/etc/new").stderr
    assert told == f"Error: '{folder}/none': No such file or directory\n"
    assert ann.run("cp", "one", "two").exit_code
    assert ann.run("cp", f"{web}:/etc/a", f"{web}:/etc/b").exit_code


def test_cp_by_standard_input_and_output(web, daemon, token):
    data = os.urandom(3_000_000)
    env = {**os.environ, "PROA_TARGET": daemon, "PROA_TOKEN": token}
    cp = [str(Path(sys.executable).with_name("proa")), "cp"]
    subprocess.run([*cp, "-", f"{web}:/etc/file"], input=data, env=env, check=True)
    said = subprocess.run([*cp, f"{web}:/etc/file", "-"], capture_output=True, env=env, check=True)
    assert said.stdout == data


def test_files_commands(ann, web):
    ann.ok("files", "mkdir", "-p", "--mode", "700", web, "/a/b")
    listed = json.loads(ann.ok("files", "ls", "-o", "json", web, "/a"))
    assert [(each["name"], each["type"]) for each in listed] == [("b", "FILE_TYPE_DIRECTORY")]
    assert "drwx------" in ann.ok("files", "ls", web, "/a")
    assert "drwx------" in ann.ok("files", "stat", web, "/a/b")
    refused = ann.run("files", "rm", web, "/a")
    assert (refused.exit_code, "use --recursive to" in refused.stderr) == (5, True)
    assert "remove /a" in ann.ok("files", "rm", "-r", "--dry-run", web, "/a")
    ann.ok("files", "rm", "-r", web, "/a")
    assert ann.run("files", "stat", web, "/a").exit_code == 3


def test_names_that_would_write_to_the_terminal_are_escaped(ann, web, client):
    client.write_file(web, "/etc/\x1b[31mred\n", b"")
    assert "\x1b" not in ann.ok("files", "ls", web, "/etc")
