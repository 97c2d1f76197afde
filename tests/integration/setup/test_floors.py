"""The client alone, with the oldest and the newest packages that it admits."""

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.daemon.conftest import PASSWORD, Daemon

ROOT = Path(__file__).parents[3]
SESSION = """
import sys
from importlib.metadata import version
import grpc, proa
from proa import v1

print(version("grpcio"), version("protobuf"))
with proa.connect(sys.argv[1], username="ada", password=sys.argv[2]) as client:
    spec = v1.ContainerSpec(image="proa-test/busybox:1", name=sys.argv[3])
    made = client.containers.CreateContainer(v1.CreateContainerRequest(spec=spec, start=True))
    id = made.resource.id
    assert client.wait(id, v1.RESOURCE_STATE_RUNNING, timeout=60).name == sys.argv[3]
    try:
        client.resources.DeleteResource(v1.DeleteResourceRequest(id=id))
    except proa.IllegalState as error:
        assert error.reason == "RESOURCE_RUNNING", error
        assert error.metadata["id"] == id, error.metadata
        assert error.correlation_id
    client.resources.DeleteResource(v1.DeleteResourceRequest(id=id, force=True))
    assert [r.id for r in client.list_resources()].count(id) == 0
"""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path_factory.mktemp("daemon"), {}, ["--memory"])
    daemon.start()
    yield daemon
    daemon.stop()


def floors() -> list[str]:
    """Return the client's requirements with the oldest version that each admits."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [requirement.replace(">=", "==") for requirement in project["dependencies"]]


@pytest.mark.usefixtures("package_index")
@pytest.mark.parametrize("versions", [floors(), []], ids=["floors", "newest"])
def test_client_alone_with_versions_makes_session(
    versions: list[str], daemon: Daemon, tmp_path: Path
):
    python = tmp_path / "venv/bin/python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    pip = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", str(ROOT), *versions], check=True, timeout=170)

    done = subprocess.run(
        [python, "-W", "error", "-c", SESSION, daemon.address, PASSWORD, f"floors-{len(versions)}"],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr
    assert not done.stderr
    used = [requirement.partition("==")[2] for requirement in versions[:2]]
    assert all(map(str.startswith, done.stdout.split(), used))
