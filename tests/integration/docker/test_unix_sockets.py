"""Connections to Unix sockets of containers on a real engine, and where they must not lead."""

import asyncio
import errno
import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from container_sockets import bound, echoing_at, inside, listening_at
from eventually import eventually
from integration.docker.workloads import Make, says
from proad.drivers.docker import DockerDriver, unix_sockets
from proad.drivers.docker.container_root import ContainerRoot
from proad.drivers.docker.container_run import ContainerRun
from proad.errors import (
    CapabilityMissingError,
    ConnectionFailedError,
    HostExhaustedError,
    InvalidArgumentError,
    ProaError,
    ResourceNotRunningError,
)
from proad.model import BindMount, Mount, Resource
from proad.ports import PortConnection

pytestmark = pytest.mark.docker

APP = "/run/app.sock"
FILES = Path("/proc/self/fd")
PEER = struct.Struct("iII")


@pytest.fixture
async def box(make: Make) -> Resource:
    return await make("sleep", "1000")


async def whole(connection: PortConnection) -> bytes:
    said = b""
    while piece := await connection.read():
        said += piece
    return said


async def echo(driver: DockerDriver, id: str, path: str, data: bytes = b"ping") -> bytes:
    async with driver.connect_socket(id, path) as connection:
        await connection.write(data)
        connection.end_input()
        return await whole(connection)


async def refused(driver: DockerDriver, id: str, path: str) -> ProaError:
    with pytest.raises(ProaError) as told:
        async with driver.connect_socket(id, path):
            pytest.fail("it is connected")
    return told.value


@contextmanager
def on_the_host(tmp_path: Path) -> Iterator[socket.socket]:
    """Listen on the host, and fail if anybody connects."""
    with bound(str(tmp_path / "host.sock")) as server:
        server.listen()
        server.setblocking(False)
        yield server
        with pytest.raises(BlockingIOError):
            server.accept()


async def test_two_hundred_connections_to_a_socket_at_once(driver, box):
    before = len([*FILES.iterdir()])
    async with echoing_at(box, APP):
        answers = await asyncio.gather(
            *(echo(driver, box.id, APP, b"%d" % number) for number in range(200))
        )
        assert answers == [b"%d" % number for number in range(200)]
        await eventually(lambda: len([*FILES.iterdir()]) < before + 50)


async def test_links_within_the_container_are_followed(driver, raw, box):
    await says(raw, box, "sh", "-c", "mkdir -p /run/deep /var; ln -s /run /var/run")
    await says(raw, box, "sh", "-c", f"ln -s ../../../../{APP} /run/deep/link")
    async with echoing_at(box, APP):
        for path in ("/var/run/app.sock", "/run/deep/link", "/../..//run/./deep/../app.sock"):
            assert await echo(driver, box.id, path) == b"ping"


async def test_path_longer_than_an_address_is_connected_to(driver, raw, box):
    deep = "/" + "/".join(["d" * 50] * 5)
    await says(raw, box, "sh", "-c", f"mkdir -p {deep} && ln -s {APP} {deep}/app.sock")
    async with echoing_at(box, APP):
        assert await echo(driver, box.id, f"{deep}/app.sock") == b"ping"


@pytest.mark.parametrize("up", ["", "/..", "/run/../../../../../.."])
async def test_link_to_a_socket_of_the_host_leads_nowhere(driver, raw, box, tmp_path, up):
    with on_the_host(tmp_path):
        await says(raw, box, "ln", "-s", f"{up}{tmp_path}/host.sock", APP)
        await says(raw, box, "ln", "-s", f"{up}{tmp_path}", "/run/folder")
        for path in (APP, "/run/folder/host.sock", f"/..{tmp_path}/host.sock"):
            error = await refused(driver, box.id, path)
            assert isinstance(error, ConnectionFailedError)
            assert error.cause == "refused"


@pytest.mark.parametrize("link", ["root", "cwd", "fd/0"])
async def test_links_of_proc_are_not_followed(driver, box, tmp_path, link):
    with on_the_host(tmp_path):
        path = f"/proc/1/{link}{tmp_path}/host.sock"
        error = await refused(driver, box.id, path)
        # Whether the kernel looks at the link, or at the right to follow it, first is its own matter.
        assert isinstance(error, InvalidArgumentError) or "may not connect" in str(error)


async def test_name_that_is_swapped_all_the_time_never_leads_to_the_host(
    driver, raw, box, tmp_path
):
    swap = f"cd /run; while :; do ln -s {tmp_path}/host.sock a; mv a x; ln -s own b; mv b x; done"
    with on_the_host(tmp_path):
        async with echoing_at(box, "/run/own"):
            made = raw.exec_create(box.id, ["sh", "-c", swap])
            raw.exec_start(made["Id"], detach=True)
            outcomes: set[bytes | str] = set()
            for _ in range(500):
                try:
                    outcomes.add(await echo(driver, box.id, "/run/x"))
                except ConnectionFailedError as error:
                    outcomes.add(error.cause)
            assert outcomes == {b"ping", "refused"}


async def test_socket_of_a_folder_that_is_mounted_is_a_part_of_the_container(
    driver, make, tmp_path
):
    mount = Mount(bind=BindMount(source=str(tmp_path)), target="/mnt/host")
    box = await make("sleep", "1000", mounts=(mount,))
    async with echoing_at(box, "/mnt/host/app.sock"):
        assert await echo(driver, box.id, "/mnt/host/app.sock") == b"ping"


@pytest.mark.parametrize(
    ("path", "made"),
    [
        ("/run/pipe", "mkfifo /run/pipe"),
        ("/run/file", "echo >/run/file"),
        ("/run", "true"),
        ("/dev/zero", "true"),
        ("/run/loop", "ln -s loop /run/loop"),
        ("/run/" + "n" * 256, "true"),
    ],
)
async def test_what_is_no_socket_is_an_invalid_argument(driver, raw, box, path, made):
    await says(raw, box, "sh", "-c", f"mkdir -p /run; {made}")
    assert isinstance(await refused(driver, box.id, path), InvalidArgumentError)


async def test_path_of_something_else_says_so(driver, box):
    error = await refused(driver, box.id, "/etc/hosts")
    assert isinstance(error, InvalidArgumentError)
    assert [violation.field for violation in error.violations] == ["start.socket_path"]
    assert "something else is there" in str(error)


@pytest.mark.parametrize("sort", [socket.SOCK_DGRAM, socket.SOCK_SEQPACKET])
async def test_socket_without_a_stream_is_an_invalid_argument(driver, box, sort):
    with bound(inside(box, APP), sort) as server:
        if sort == socket.SOCK_SEQPACKET:
            server.listen()
        error = await refused(driver, box.id, APP)
    assert isinstance(error, InvalidArgumentError)
    assert "stream" in str(error)


async def test_socket_whose_server_has_gone_is_refused(driver, box):
    with bound(inside(box, APP)):
        pass
    error = await refused(driver, box.id, APP)
    assert isinstance(error, ConnectionFailedError)
    assert error.cause == "refused"


async def test_server_sees_root_and_no_more_rights_than_the_container_has(
    driver, raw, make, tmp_path
):
    box = await make("sleep", "1000", user="1000")
    with listening_at(box, APP) as server:
        os.chown(inside(box, APP), 1000, 1000)
        Path(inside(box, APP)).chmod(0o600)
        async with driver.connect_socket(box.id, APP):
            accepted, _ = server.accept()
            with accepted:
                told = accepted.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size)
            assert PEER.unpack(told)[1:] == (0, 0)


async def test_socket_of_another_user_is_denied_without_the_capability_for_it(driver, make):
    box = await make("sleep", "1000", cap_drop=("ALL",))
    async with echoing_at(box, APP):
        assert await echo(driver, box.id, APP) == b"ping"
        os.chown(inside(box, APP), 1000, 1000)
        Path(inside(box, APP)).chmod(0o600)
        error = await refused(driver, box.id, APP)
    assert isinstance(error, ConnectionFailedError)
    assert error.cause == "denied"
    status = Path("/proc/self/status").read_text()
    assert "CapEff:\t0000000000000000" not in status


async def test_server_that_accepts_nothing_times_out_and_holds_up_no_other(driver, box):
    driver._sockets._limit = timedelta(seconds=1)
    async with AsyncExitStack() as open:
        open.enter_context(listening_at(box, APP, backlog=0))
        await open.enter_async_context(echoing_at(box, "/run/echo.sock"))
        await open.enter_async_context(driver.connect_socket(box.id, APP))
        errors, *echoed = await asyncio.gather(
            asyncio.gather(*(refused(driver, box.id, APP) for _ in range(20))),
            *(echo(driver, box.id, "/run/echo.sock") for _ in range(20)),
        )
    assert {getattr(error, "cause", "") for error in errors} == {"timed out"}
    assert echoed == [b"ping"] * 20


async def test_file_system_that_hangs_holds_up_its_own_container_alone(
    driver, make, box, monkeypatch
):
    other = await make("sleep", "1000")
    driver._sockets._limit = timedelta(seconds=1)
    go_on, connect = threading.Event(), unix_sockets._connect

    def hang(root: ContainerRoot, path: str) -> socket.socket:
        if path == "/hung":
            go_on.wait()
        return connect(root, path)

    monkeypatch.setattr(unix_sockets, "_connect", hang)
    before = threading.active_count()
    try:
        errors = await asyncio.gather(*(refused(driver, box.id, "/hung") for _ in range(50)))
        assert {getattr(error, "cause", "") for error in errors} == {"timed out"}
        assert threading.active_count() <= before + unix_sockets._THREADS
        async with echoing_at(other, APP):
            assert await echo(driver, other.id, APP) == b"ping"
    finally:
        go_on.set()
    async with echoing_at(box, APP):
        assert await echo(driver, box.id, APP) == b"ping"


async def test_connection_ends_with_the_container_that_is_restarted(driver, raw, box):
    with listening_at(box, APP) as server:
        async with driver.connect_socket(box.id, APP) as connection:
            accepted, _ = server.accept()
            with accepted:
                accepted.sendall(b"last words")
                await asyncio.to_thread(raw.restart, box.id, timeout=0)
                assert await connection.read() == b"last words"
                with pytest.raises(ResourceNotRunningError, match="started anew"):
                    await asyncio.wait_for(connection.read(), 30)


@pytest.mark.parametrize(("cls", "name"), [(ContainerRun, "of"), (ContainerRoot, "copy")])
async def test_daemon_without_descriptors_tells_so(
    driver: DockerDriver, box: Resource, monkeypatch: pytest.MonkeyPatch, cls: type, name: str
):
    def fail(*_: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    async with echoing_at(box, APP):
        with monkeypatch.context() as patched:
            patched.setattr(cls, name, fail)
            error = await refused(driver, box.id, APP)
        assert isinstance(error, HostExhaustedError)
        assert await echo(driver, box.id, APP) == b"ping"


@pytest.mark.parametrize("why", ["another host", "may not look"])
async def test_daemon_that_cannot_look_into_it_lacks_the_capability(driver, box, monkeypatch, why):
    if why == "another host":
        driver._sockets.obstacle = "its engine is on another host"
    else:
        monkeypatch.setattr(ContainerRoot, "of", lambda _: None)
    with listening_at(box, APP):
        error = await refused(driver, box.id, APP)
    assert isinstance(error, CapabilityMissingError)
    assert why in str(error)
