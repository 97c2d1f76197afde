"""SIGTERM of a daemon while callers are inside of containers of an engine that is reached by SSH."""

import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import proa
from eventually import wait_until
from guest.media import import_image
from integration.daemon.conftest import Daemon
from integration.docker.private_engine import PrivateEngine
from integration.docker.remote_engines import SshServer, with_path
from proa import v1

pytestmark = pytest.mark.docker

Start = Callable[..., Daemon]
IMAGE = "proa-test/busybox:1"
LARGE = 300_000_000
PROMISED = 30
"""Seconds in which a daemon ends that is asked to."""


SPEC = v1.ContainerSpec(
    image=IMAGE,
    command=["sh", "-c", f"head -c {LARGE} /dev/zero >/large; echo made; exec cat"],
    stdin_open=True,
    networks=[v1.NetworkAttachment(network="none")],
)


@pytest.fixture
def far() -> Iterator[tuple[PrivateEngine, SshServer]]:
    """An engine, and an sshd by which it is reached."""
    with tempfile.TemporaryDirectory(prefix="proa-test-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "docker").mkdir()
        engine = PrivateEngine(folder / "docker")
        engine.start()
        try:
            server = SshServer(folder / "ssh", engine.url)
            with server.running():
                wait_until(lambda: engine_answers(engine.url), "dockerd")
                import_image(engine.url)
                yield engine, server
        finally:
            engine.stop()


def engine_answers(url: str) -> bool:
    asked = subprocess.run(["docker", "-H", url, "version"], capture_output=True, check=False)
    return asked.returncode == 0


@pytest.fixture
def daemon(start_daemon: Start, far: tuple[PrivateEngine, SshServer]) -> Daemon:
    server = far[1]
    return start_daemon(PROA_DOCKER_URL=server.url, PATH=with_path(server.bin))


def asked(request: Any, ended: threading.Event) -> Iterator[Any]:
    yield request
    ended.wait()


def opened(client: proa.Client, id: str, ended: threading.Event) -> dict[str, Any]:
    """Return calls of all kinds, each of which has its first response; some are never read again."""
    console, files, sleep = client.console, client.files, v1.CommandSpec(argv=["sleep", "1000"])
    zeros = v1.CommandSpec(argv=["cat", "/dev/zero"])
    write = v1.WriteFileStart(id=id, path="/new", size_bytes=5)
    calls = {
        "Exec": console.Exec(
            asked(v1.ExecRequest(start=v1.ExecStart(id=id, command=sleep)), ended)
        ),
        "Exec unread": console.Exec(
            asked(v1.ExecRequest(start=v1.ExecStart(id=id, command=zeros)), ended)
        ),
        "Attach": console.Attach(asked(v1.AttachRequest(start=v1.AttachStart(id=id)), ended)),
        "StreamLogs": console.StreamLogs(v1.StreamLogsRequest(id=id, follow=True)),
        "ReadFile unread": files.ReadFile(v1.ReadFileRequest(id=id, path="/large")),
        "WriteFile": files.WriteFile(asked(v1.WriteFileRequest(start=write), ended)),
    }
    for call in calls.values():
        next(call)
    return calls


@pytest.mark.parametrize("state", ["answers", "hangs"])
def test_all_callers_are_told_and_no_ssh_stays(
    daemon: Daemon, far: tuple[PrivateEngine, SshServer], state: str
):
    engine, server = far
    ended = threading.Event()
    with daemon.client() as client:
        made: list[v1.Resource] = []

        def is_made() -> bool:
            with suppress(proa.Unavailable):  # the daemon may not have found the engine yet
                request = v1.CreateContainerRequest(spec=SPEC, start=True)
                made.append(client.containers.CreateContainer(request).resource)
            return bool(made)

        wait_until(is_made)
        next(iter(client.logs(made[0].id, follow=True)))
        calls = opened(client, made[0].id, ended)
        assert len(server.clients()) > 3
        if state == "hangs":
            engine.signal(signal.SIGSTOP)

        def end_of(name: str) -> str:
            with pytest.raises(proa.Unavailable) as told:
                for _ in calls[name]:
                    pass
            return told.value.reason

        with ThreadPoolExecutor() as threads:
            read = {name: threads.submit(end_of, name) for name in calls if "unread" not in name}
            begin = time.monotonic()
            assert daemon.stop() == 0
            assert time.monotonic() - begin < PROMISED + 10
            ended.set()
            assert {name: each.result() for name, each in read.items()} == dict.fromkeys(
                read, "SHUTTING_DOWN"
            )
        for name in calls:
            if "unread" in name:
                end_of(name)
    wait_until(lambda: not server.clients())
    assert not [line for line in daemon.log() if line["level"] == "error"]
