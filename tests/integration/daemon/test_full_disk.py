"""A daemon whose disk is full: that of its files on their way, and that of its state."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import proa
from integration.daemon.conftest import Daemon
from proa import v1
from small_file_systems import small_file_system

pytestmark = pytest.mark.docker

IMAGE = "proa-test/busybox:1"
MIB = 2**20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MiB."""
    with small_file_system(tmp_path / "disk", "size=64m,mode=1777") as folder:
        yield folder


@pytest.fixture
def daemon(tmp_path: Path, disk: Path, request: pytest.FixtureRequest) -> Iterator[Daemon]:
    """A daemon that has its state, or its files on their way, on the small disk."""
    home = tmp_path / "daemon"
    home.mkdir()
    if request.param == "state":
        daemon = Daemon(home, {"PROA_STATE_DIR": str(disk / "state")})
    else:
        daemon = Daemon(home, {})
        own = ["unshare", "--mount", "--propagation", "private"]
        script = 'mount --bind "$0" /var/tmp && exec "$@"'
        daemon.prefix = [*own, "sh", "-c", script, str(disk)]
    daemon.start()
    yield daemon
    assert daemon.process is not None
    if daemon.process.poll() is None:
        daemon.process.kill()
        daemon.process.wait()


def fill(disk: Path) -> None:
    """Take all room of a disk."""
    with (disk / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        while filler.write(bytes(MIB)):
            pass
        while filler.write(bytes(4096)):
            pass


@pytest.fixture
def client(daemon: Daemon) -> Iterator[proa.Client]:
    with daemon.client() as client:
        yield client


@pytest.fixture
def box(client: proa.Client, token: str) -> Iterator[str]:
    """The id of a container."""
    spec = v1.ContainerSpec(
        name=token,
        image=IMAGE,
        command=["sleep", "1000"],
        networks=[v1.NetworkAttachment(network="none")],
    )
    request = v1.CreateContainerRequest(spec=spec, start=True)
    yield client.containers.CreateContainer(request).resource.id
    client.resources.DeleteResource(v1.DeleteResourceRequest(id=token, force=True))


@contextmanager
def refused() -> Iterator[None]:
    with pytest.raises(proa.ResourceExhausted, match="the daemon's disk") as told:
        yield
    assert told.value.reason == "HOST_EXHAUSTED"


@pytest.mark.parametrize("daemon", ["spool"], indirect=True)
def test_files_on_their_way_without_room_change_nothing(
    daemon: Daemon, client: proa.Client, box: str, disk: Path
):
    old = os.urandom(MIB)
    client.write_file(box, "/file", old)
    client.run_command(box, ["sh", "-c", f"head -c {70 * MIB} /dev/zero >/large"])
    with refused():
        client.write_file(box, "/file", bytes(70 * MIB), overwrite=True)
    with refused():
        client.read_file(box, "/large").read()

    def that_fill_the_disk() -> Iterator[bytes]:
        yield bytes(MIB)
        fill(disk)
        while True:
            yield bytes(MIB)

    with refused():
        client.write_file(box, "/file", that_fill_the_disk(), size=60 * MIB, overwrite=True)
    with refused():
        client.read_file(box, "/file").read()
    (disk / "filler").unlink()
    assert client.read_file(box, "/file").read() == old
    assert not [file.name for file in client.list_files(box, "/") if ".proa" in file.name]
    assert not [*disk.iterdir()]
    assert not [line for line in daemon.log() if line["level"] == "error"]


@pytest.mark.parametrize("daemon", ["state"], indirect=True)
def test_state_without_room_keeps_streams_and_refuses_what_needs_a_record(
    daemon: Daemon, client: proa.Client, box: str, disk: Path
):
    fill(disk)
    for _ in range(3):
        with pytest.raises(proa.Unavailable) as told:
            client.run_command(box, ["touch", "/ran"])  # with a request id
        assert told.value.reason == "DATABASE_UNREACHABLE"
        # These have their lines in the audit log, which has room of its own.
        client.write_file(box, "/file", b"new", overwrite=True)
        assert client.read_file(box, "/file").read() == b"new"
        with client.exec(box, ["sh", "-c", "! test -e /ran"]) as process:
            assert process.wait().code == 0
        with daemon.client() as other:  # a login needs no record
            other.auth.GetCaller(v1.GetCallerRequest())
    (disk / "filler").unlink()
    client.run_command(box, ["touch", "/ran"])
    assert client.stat_file(box, "/ran").name == "ran"
    assert daemon.stop() == 0
    daemon.start()
    assert client.stat_file(box, "/ran").name == "ran"
