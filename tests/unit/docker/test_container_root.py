"""Roots of processes, as this host's kernel has them; who connects there, and where to."""

import asyncio
import errno
import os
import socket
import struct
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue

import pytest

from proad.drivers.docker.container_root import ContainerRoot, HostFilesError
from proad.drivers.docker.unix_sockets import _connect
from proad.drivers.own_thread import on_own_thread
from requirements import require_root_and

OUTSIDE = 70000
PEER = struct.Struct("iII")


@pytest.fixture
def child() -> Iterator["subprocess.Popen[bytes]"]:
    """Give a process with namespaces of its own for users and mounts; nobody is mapped yet."""
    require_root_and("unshare")
    command = ["unshare", "--user", "--mount", "--propagation", "unchanged", "cat"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"x")
        process.stdin.flush()
        process.stdout.read(1)  # it runs, so that it is past unshare
        yield process
        process.kill()


def own_root() -> ContainerRoot:
    return ContainerRoot(os.open("/", os.O_PATH), os.getuid(), os.getgid(), overrides=True)


async def test_root_of_this_process_is_that_of_the_host():
    before = [*Path("/proc/self/fd").iterdir()]
    with pytest.raises(HostFilesError):
        ContainerRoot.of(os.getpid())
    assert [*Path("/proc/self/fd").iterdir()] == before


async def test_root_of_nobody_is_out_of_reach():
    assert ContainerRoot.of(2**22 + 1) is None


async def test_root_of_a_user_namespace_without_a_root_is_out_of_reach(child):
    assert ContainerRoot.of(child.pid) is None


@pytest.fixture
def everybodys() -> Iterator[Path]:
    """Give a folder that every user may look into, unlike tmp_path."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


async def test_socket_is_connected_to_as_the_root_of_a_user_namespace(child, everybodys: Path):
    for name in ("uid_map", "gid_map"):
        Path(f"/proc/{child.pid}/{name}").write_text(f"0 {OUTSIDE} 1")
    root = ContainerRoot.of(child.pid)
    assert root is not None
    assert (root.user, root.group, root.overrides) == (OUTSIDE, OUTSIDE, False)
    path = str(everybodys / "app.sock")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        with pytest.raises(PermissionError):
            await on_own_thread(lambda: _connect(root, path), name="test")
        Path(path).chmod(0o777)
        carrier = await on_own_thread(lambda: _connect(root, path), name="test")
        accepted, _ = server.accept()
        told = accepted.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size)
        accepted.close()
        carrier.close()
    assert PEER.unpack(told)[1:] == (OUTSIDE, OUTSIDE)
    assert os.geteuid() == 0  # the thread alone was somebody else
    root.close()


@pytest.mark.parametrize("path", ["/proc/self/root/etc", "/proc/thread-self/fd/0", "/dev/fd/0"])
async def test_links_of_proc_are_not_followed_with_any_right(path: str):
    root = own_root()
    with pytest.raises(OSError) as told:  # noqa: PT011 - its number is looked at
        os.close(root.open(path))
    assert told.value.errno == errno.ELOOP
    root.close()


async def test_nothing_leads_out_of_a_root(tmp_path: Path):
    (tmp_path / "inside").mkdir()
    (tmp_path / "outside").write_text("x")
    (tmp_path / "inside" / "absolute").symlink_to(tmp_path / "outside")
    (tmp_path / "inside" / "relative").symlink_to("../outside")
    root = replace(own_root(), fd=os.open(tmp_path / "inside", os.O_PATH))
    for path in ("/absolute", "/relative", "/../outside", str(tmp_path / "outside")):
        with pytest.raises(FileNotFoundError):
            root.open(path)
    root.close()


async def test_thread_keeps_no_capability_but_one():
    require_root_and("unshare")

    def capabilities(*, overrides: bool) -> str:
        replace(root, overrides=overrides).become_its_user()
        lines = Path("/proc/thread-self/status").read_text().splitlines()
        return next(line.split()[1] for line in lines if line.startswith("CapEff"))

    root = own_root()
    told = await asyncio.gather(
        *(on_own_thread(partial(capabilities, overrides=it), name="test") for it in (True, False))
    )
    assert [int(each, 16) for each in told] == [2, 0]
    assert int(capabilities_of_process(), 16) & 2
    root.close()


async def test_user_of_the_host_who_is_root_of_a_container_may_not_kill_or_limit_the_daemon():
    require_root_and("setpriv")
    begun: SimpleQueue[int] = SimpleQueue()
    may_end = threading.Event()

    def act() -> None:
        replace(root, user=OUTSIDE, group=OUTSIDE, overrides=False).become_its_user()
        begun.put(threading.get_native_id())
        may_end.wait()

    root = own_root()
    acting = asyncio.create_task(on_own_thread(act, name="test"))
    try:
        thread = await asyncio.to_thread(begun.get)
        for attack in (["kill", "-0"], ["prlimit", "--core", "--pid"]):
            told = as_user(OUTSIDE, *attack, str(thread))
            assert "not permitted" in told or "Permission denied" in told
    finally:
        may_end.set()
        await acting
    root.close()


def as_user(user: int, *command: str) -> str:
    """Return what a user hears of a command."""
    rights = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    done = subprocess.run(
        [*rights, "env", "LC_ALL=C", *command], cwd="/", capture_output=True, text=True, check=False
    )
    return done.stderr


def capabilities_of_process() -> str:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith("CapEff"))
