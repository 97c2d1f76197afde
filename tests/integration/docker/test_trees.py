"""Directories that are copied into a real container and out of it, and what a hostile one tells."""

import asyncio
import shlex
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import proa
from integration.docker.engine_socket import engine_socket
from integration.docker.inside_containers import Run
from integration.trees import LARGE, as_ann, content, serving, told, tree_in
from proad.drivers.docker import DockerDriver
from proad.model import Resource
from rpc.daemon import Daemon

pytestmark = pytest.mark.docker


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    async with serving(DockerDriver(f"unix://{engine_socket()}"), tmp_path) as daemon:
        yield daemon


async def test_tree_comes_back_as_it_went(daemon: Daemon, box: Resource, run: Run, tmp_path: Path):
    tree = tree_in(tmp_path)

    def copy(client: proa.Client) -> None:
        assert not told(client.upload_tree(tree, box.id, "/srv-of-test"))
        assert not told(client.download_tree(box.id, "/srv-of-test", tmp_path / "back"))

    await asyncio.to_thread(as_ann, daemon, copy)
    assert content(tmp_path / "back") == content(tree)
    said = (
        await run("sh", "-c", "cd /srv-of-test && stat -c '%a %u %s' a/large a/b/c/tool empty")
    )[0]
    assert said.decode().splitlines()[:2] == [f"644 0 {LARGE}", "755 0 0"]
    assert said.decode().splitlines()[2].startswith("750 0 ")


async def test_links_and_odd_names_lead_nowhere(
    daemon: Daemon, box: Resource, run: Run, tmp_path: Path
):
    """What is written beside the copy, on this machine, shows in the folder of the test."""
    into = tmp_path / "into"
    into.mkdir()
    script = rf"""
        mkdir -p /h/d /h/link2; cd /h
        ln -s {tmp_path} up; ln -s .. dots; ln -s /h/d/file abs; echo x >d/file; mkfifo pipe
        touch $'a\nb' $'\x1b[31mred' $'\xff' -- '-rf' '...' 'a b'
        mknod null c 1 3; chmod 4755 d/file
    """
    await run("sh", "-c", script)

    def copy(client: proa.Client) -> dict[str, str]:
        return told(client.download_tree(box.id, "/h", into / "h"))

    found = await asyncio.to_thread(as_ann, daemon, copy)
    assert found == {
        "up": "a symbolic link",
        "dots": "a symbolic link",
        "abs": "a symbolic link",
        "pipe": "a pipe",
        "null": "a device",
        "a\nb": "its name has control characters",
        "\x1b[31mred": "its name has control characters",
        "\ufffd": "its name is no text",
    }
    assert set(content(into)) == {*("h", "h/d", "h/d/file", "h/link2", "h/-rf", "h/...", "h/a b")}
    assert (into / "h/d/file").stat().st_mode & 0o7777 == 0o755
    assert {each.name for each in tmp_path.iterdir()} == {"into", "state"}


LIES = [".", "..", "", "a/../../evil", "/etc/evil"]


async def test_shell_that_makes_names_up_writes_nothing_elsewhere(
    daemon: Daemon, box: Resource, run: Run, tmp_path: Path
):
    """The first list tells of them as of directories and of files, and of a file that is there."""
    into = tmp_path / "into"
    into.mkdir()
    await run("sh", "-c", "mkdir -p /h/evil; echo here >/h/file; echo x >/h/evil/file")
    entries = [
        rf"printf '1\000%s\000{mode} 4 1 0 0\000' {shlex.quote(name)}"
        for name in LIES
        for mode in ("41ed", "81a4")
    ]
    tell = "\n".join(entries)
    body = f'case "$4" in /h) {tell}\nprintf "1\\000/h/file\\00081a4 5 1 0 0\\000";; esac'
    install = 'printf "%s\\n" "#!/bin/busybox sh" "$1" >/sh && chmod +x /sh && mv /sh /bin/sh'
    _, stderr, _ = await run("/bin/busybox", "sh", "-c", install, "sh", body)
    assert not stderr

    def copy(client: proa.Client) -> dict[str, str]:
        return told(client.download_tree(box.id, "/h", into / "h"))

    found = await asyncio.to_thread(as_ann, daemon, copy)
    assert "no file can have such a name here" in found[".."]
    assert (into / "h/file").read_text() == "here\n"
    assert set(content(into)) <= {"h", "h/file", "h/evil"}
    assert {each.name for each in tmp_path.iterdir()} == {"into", "state"}


async def test_folder_that_becomes_a_link_meanwhile_is_not_followed(
    daemon: Daemon, box: Resource, run: Run, tmp_path: Path
):
    """As a resource could that shares the folder of the copy."""
    into, elsewhere = tmp_path / "into", tmp_path / "elsewhere"
    elsewhere.mkdir()
    await run("sh", "-c", "mkdir -p /h/a /h/b; echo x >/h/a/1; echo x >/h/a/2; echo x >/h/b/1")

    def copy(client: proa.Client) -> dict[str, str]:
        copying = client.download_tree(box.id, "/h", into)
        first = next(copying)
        assert first.path == "a"
        (into / "a").rename(into / "was-a")
        (into / "a").symlink_to(elsewhere)
        (into / "b").symlink_to(elsewhere)
        return told(copying)

    found = await asyncio.to_thread(as_ann, daemon, copy)
    assert set(found) == {"b"}
    assert not list(elsewhere.iterdir())
    assert (into / "was-a/2").is_file()
