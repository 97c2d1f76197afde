"""Streams of a user whose rights another process takes away."""

import subprocess
import time
from collections.abc import Callable

import pytest
from google.protobuf.duration_pb2 import Duration

import proa
from integration.daemon.conftest import BIN, Daemon
from proa import v1


@pytest.mark.parametrize(
    "change",
    [["disable", "ada"], ["remove", "ada"], ["scopes", "ada", "--scope", "basic"]],
)
def test_silent_watch_ends_when_a_command_changes_its_user(
    start_daemon: Callable[..., Daemon], change: list[str]
):
    daemon = start_daemon("--memory")
    with daemon.client() as client:
        request = v1.WatchResourcesRequest(heartbeat_interval=Duration(seconds=300))
        watch = client.resources.WatchResources(request)
        next(watch)

        subprocess.run([BIN / "proad", "user", *change], env=daemon.environment, check=True)
        changed = time.monotonic()
        with pytest.raises(proa.Unauthenticated) as caught:
            for _ in watch:
                pass

    assert caught.value.reason == "TOKEN_INVALID"
    assert time.monotonic() - changed < 60  # no heartbeat is due for minutes
