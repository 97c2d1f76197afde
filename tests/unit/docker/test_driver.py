"""The parts of the driver that need no engine."""

from pathlib import Path

import pytest
import urllib3

from proad.drivers.docker import DockerDriver
from proad.drivers.docker.driver import environment_address
from proad.drivers.docker.errors import broken_connection
from proad.errors import EngineTimedOutError, EngineUnreachableError


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("unix:///run/docker.sock", "unix:///run/docker.sock"),
        ("tcp://192.0.2.1:2376", "tcp://192.0.2.1:2376"),
        ("ssh://me:secret@host.test", "ssh://host.test"),
        ("ssh://me@host.test:22", "ssh://host.test:22"),
    ],
)
def test_endpoint_with_credentials_hides_them(url: str, endpoint: str):
    assert DockerDriver(url).endpoint == endpoint


def test_connection_from_environment_follows_docker_variables(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
    assert DockerDriver().endpoint == "unix:///var/run/docker.sock"
    assert environment_address() == ("unix:///var/run/docker.sock", None)
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2376")
    assert DockerDriver().endpoint == "tcp://192.0.2.1:2376"
    assert environment_address() == ("tcp://192.0.2.1:2376", tmp_path)
    assert DockerDriver("unix:///x").endpoint == "unix:///x"


READ = urllib3.exceptions.ReadTimeoutError(urllib3.HTTPConnectionPool("engine"), "", "late")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (READ, EngineTimedOutError),
        (TimeoutError(), EngineTimedOutError),
        (urllib3.exceptions.ConnectTimeoutError(), EngineUnreachableError),
        (urllib3.exceptions.ProtocolError("reset"), EngineUnreachableError),
        (ConnectionResetError(), EngineUnreachableError),
    ],
)
def test_connection_failures_map_to_engine_errors(error: Exception, expected: type[Exception]):
    assert type(broken_connection(error, "unix:///x")) is expected
