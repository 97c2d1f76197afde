"""Commands of callers of a daemon whose engine is reached by SSH: how they end with these."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from google.protobuf.duration_pb2 import Duration

import proa
from eventually import wait_until
from integration.daemon.conftest import BIN, PASSWORD, Daemon
from integration.docker.remote_engines import FarEngine
from integration.docker.workloads import IMAGE
from proa import v1

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates"),
]

DEAF = ["sh", "-c", "trap '' TERM HUP; sleep 1000 & sleep 1000; sleep 1000"]


@pytest.fixture(scope="module")
def far() -> Iterator[FarEngine]:
    with FarEngine.running() as far:
        yield far


@pytest.fixture(scope="module")
def daemon(far: FarEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    home = tmp_path_factory.mktemp("daemon")
    daemon = Daemon(home, {"PROA_DOCKER_URL": far.ssh.url, "PROA_LIBVIRT_URI": ""})
    daemon.start()
    spec = v1.ContainerSpec(image=IMAGE, name="web", command=["sleep", "1000"])
    spec.networks.add(network="none")
    with daemon.client() as client:
        client.containers.CreateContainer(v1.CreateContainerRequest(spec=spec, start=True))
    yield daemon
    daemon.stop()


@pytest.fixture
def client(daemon: Daemon) -> Iterator[proa.Client]:
    with daemon.client() as client:
        yield client


@pytest.fixture
def raw(far: FarEngine) -> Iterator[docker.APIClient]:
    client = docker.APIClient(far.engine.url, version="auto")
    yield client
    client.close()


def processes(raw: docker.APIClient) -> int:
    return len(raw.top("web")["Processes"])


def alone(raw: docker.APIClient) -> None:
    """Wait until nothing but its main process runs in the container."""
    wait_until(lambda: processes(raw) == 1, lambda: str(raw.top("web")))


def test_timeout_kills_the_group(client: proa.Client, raw: docker.APIClient):
    command = v1.CommandSpec(argv=DEAF, timeout=Duration(seconds=1))
    ended = client.console.RunCommand(v1.RunCommandRequest(id="web", command=command))
    assert (ended.exit.code, ended.exit.timed_out) == (137, True)
    alone(raw)


def test_timeout_of_what_has_no_mark_is_told_to_go_on(client: proa.Client, raw: docker.APIClient):
    argv = ["env", "-i", "/bin/sleep", "1000"]
    command = v1.CommandSpec(argv=argv, timeout=Duration(seconds=1))
    with pytest.raises(proa.errors.Unimplemented, match="go on"):
        client.console.RunCommand(v1.RunCommandRequest(id="web", command=command))
    wait_until(lambda: processes(raw) == 2)  # the shell that looked for it ends by itself
    os.kill(int(raw.top("web")["Processes"][1][1]), signal.SIGKILL)
    alone(raw)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_command_ends_with_its_client(
    daemon: Daemon, raw: docker.APIClient, number: signal.Signals
):
    environment = os.environ | {"PROA_USERNAME": "ada", "PROA_PASSWORD": PASSWORD}
    proa_exec = [str(BIN / "proa"), "--target", daemon.address, "exec", "web", "sleep", "1000"]
    # What is started in the background of a script ignores SIGINT, and so would this.
    with subprocess.Popen(["env", "--default-signal=INT", *proa_exec], env=environment) as caller:
        wait_until(lambda: processes(raw) == 2)
        wait_until(lambda: _heeds(caller.pid, signal.SIGINT))
        caller.send_signal(number)
        assert caller.wait(60) in {128 + number, -number}
    alone(raw)


def _heeds(pid: int, number: int) -> bool:
    """Return whether a process has a handler for a signal."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    caught = next(line.split()[1] for line in lines if line.startswith("SigCgt"))
    return bool(int(caught, 16) >> (number - 1) & 1)


def test_command_ends_with_its_call(client: proa.Client, raw: docker.APIClient):
    with client.exec("web", DEAF) as process:
        assert process.can_signal
        wait_until(lambda: processes(raw) == 4)
    alone(raw)
