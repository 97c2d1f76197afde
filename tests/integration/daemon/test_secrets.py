"""Credentials in URLs, in a real daemon whose engines do not answer: no outlet shows them."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import grpc
import pytest

import proa
from free_port import free_port
from integration.daemon.conftest import BIN, Daemon
from proa import v1

Start = Callable[..., Daemon]
SECRET = "pl4nted/@?"
SPELLINGS = (SECRET, quote(SECRET, safe=""), "pl4nted")

URLS = (
    "docker_url = 'ssh://me:{secret}@127.0.0.1:{port}'",
    "docker_url = 'tcp://me:{secret}@127.0.0.1:{port}'",
    "docker_url = 'tcp://me:{secret}@host.invalid:{port}/x?password={secret}'",
    "docker_url = 'odd://me:{secret}@127.0.0.1:{port}'",
    "libvirt_uri = 'qemu+ssh://me:{secret}@127.0.0.1:{port}/system?keyfile=/nowhere&password={secret}'",
    "libvirt_uri = 'qemu+libssh://me:{secret}@127.0.0.1:{port}/system?known_hosts=/nowhere'",
    "libvirt_uri = 'qemu+tcp://me:{secret}@127.0.0.1:{port}/system?odd={secret}'",
    "libvirt_uri = 'qemu+tls://me:{secret}@127.0.0.1:{port}/system?pkipath=/nowhere&token={secret}'",
    "libvirt_uri = 'odd+unix://me:{secret}@127.0.0.1/system?socket=/nowhere'",
)


def hosts() -> str:
    tables = []
    for number, line in enumerate(URLS):
        url = line.format(secret=quote(SECRET, safe=""), port=free_port())
        tables.append(f"[[host]]\nname = 'h{number}'\n{url}\n")
    return "\n".join(tables)


def assert_unshown(text: str) -> None:
    found = [spelling for spelling in SPELLINGS if spelling in text]
    assert not found, text


def command(*arguments: str | Path, **variables: str) -> str:
    """Return the standard output and error of a `proad` command."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PROA_")} | variables
    done = subprocess.run(
        [BIN / "proad", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.stdout + done.stderr


def test_daemon_with_credentials_in_urls_shows_them_nowhere(start_daemon: Start, tmp_path: Path):
    config = tmp_path / "proa.toml"
    config.write_text(f"log_level = 'debug'\n{hosts()}")
    assert_unshown(command("check-config", "--config", config, PROA_STATE_DIR=str(tmp_path / "s")))

    daemon = start_daemon("--config", str(config), PROA_LOG_LEVEL="debug", PROA_VIRT_TYPE="")

    shown = []
    with daemon.client() as client:
        for number in range(len(URLS)):
            host = client.hosts.GetHost(v1.GetHostRequest(host=f"h{number}")).host
            (engine,) = host.engines
            assert engine.health == v1.ENGINE_HEALTH_UNREACHABLE
            assert engine.health_message
            assert "127.0.0.1" in engine.endpoint or "host.invalid" in engine.endpoint
            shown.append(str(host))
        shown.append(refusal(client.resources.ListResources, v1.ListResourcesRequest()))
        shown.append(refusal(client.images.ListImages, v1.ListImagesRequest(host="h0")))
        shown.append(refusal(client.volumes.ListVolumes, v1.ListVolumesRequest(host="h4")))
        watch = client.resources.WatchResources(v1.WatchResourcesRequest(), timeout=10)
        shown.append(str(next(iter(watch))))
    assert daemon.stop() == 0

    assert_unshown("\n".join(shown))
    log = (daemon.home / "log").read_text()
    assert_unshown(log)
    # The log was at debug level, and it tells of each of the engines.
    assert all(f"h{number}/" in log for number in range(len(URLS)))
    assert all(json.loads(line) for line in log.splitlines() if line.startswith("{"))


def refusal(call: Callable[..., object], request: object) -> str:
    with pytest.raises(proa.Error) as caught:
        call(request)
    error = caught.value
    cause = error.__cause__
    trailers = cause.trailing_metadata() if isinstance(cause, grpc.Call) else ()
    return f"{error} {vars(error)} {list(trailers)}"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:{secret}@127.0.0.1:{port}/proa?password={secret}",
        "postgresql://me:{secret}@127.0.0.1:{port}/proa?sslpassword={secret}&sslmode=require",
        "postgresql://me:{secret}@127.0.0.1:{port}/proa?no_such_option={secret}",
        "postgresql://me:{secret}@host.invalid/proa",
        "mysql://me:{secret}@127.0.0.1/proa",
        "sqlite:////nowhere/at/all?password={secret}",
        "nonsense {secret}",
    ],
)
@pytest.mark.parametrize("arguments", [["serve"], ["check-config"]])
def test_commands_with_a_database_that_does_not_answer_show_no_credentials(
    tmp_path: Path, url: str, arguments: list[str]
):
    given = url.format(secret=quote(SECRET, safe=""), port=free_port())

    shown = command(
        *arguments,
        PROA_DATABASE_URL=given,
        PROA_STATE_DIR=str(tmp_path / "state"),
        PROA_LISTEN="127.0.0.1:0",
        PROA_DOCKER_URL="",
        PROA_LIBVIRT_URI="test:///default",
        PROA_LOG_LEVEL="debug",
    )

    assert shown
    assert_unshown(shown)
