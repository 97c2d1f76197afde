"""A command of a daemon that is killed while it runs: never run a second time."""

import os
import secrets
import threading
from pathlib import Path
from typing import Any

import grpc
import pytest

from eventually import wait_until
from integration.docker.conftest import raw  # noqa: F401 - a fixture
from kills.daemons import Daemons, new_id
from proa import v1
from proad.drivers.docker.driver import DEFAULT_URL
from rpc.daemon import IMAGE, Refusal

pytestmark = pytest.mark.docker


def test_command_interrupted_by_a_kill_is_not_run_again(tmp_path: Path, raw: Any):  # noqa: F811
    url = os.environ.get("DOCKER_HOST") or DEFAULT_URL
    name = f"proa-test-{secrets.token_hex(4)}"
    daemons = Daemons(
        tmp_path,
        docker_url=url,
        libvirt_uri="test:///default",
        pool="default-pool",
        pool_path=tmp_path,
    )
    with daemons:
        daemons.start()
        spec = v1.ContainerSpec(
            image=IMAGE,
            name=name,
            command=["sleep", "1000"],
            networks=[v1.NetworkAttachment(network="none")],
        )
        request = v1.CreateContainerRequest(spec=spec, start=True)
        id = daemons.call("Container", "CreateContainer", request).resource.id
        try:
            _kill_and_repeat(daemons, id, raw)
        finally:
            raw.remove_container(id, force=True)


def _kill_and_repeat(daemons: Daemons, id: str, raw: Any) -> None:  # noqa: F811
    argv = ["sh", "-c", "echo begun >> /proc/1/fd/1; sleep 5"]
    request = v1.RunCommandRequest(id=id, command=v1.CommandSpec(argv=argv), request_id=new_id())

    def first() -> None:
        with pytest.raises(grpc.RpcError):
            daemons.call("Console", "RunCommand", request)

    calling = threading.Thread(target=first)
    calling.start()
    wait_until(lambda: b"begun" in raw.logs(id), "the command runs")
    daemons.kill()
    calling.join()
    daemons.start()

    for _ in range(3):
        with pytest.raises(grpc.RpcError) as refused:
            daemons.call("Console", "RunCommand", request)
        assert Refusal.of(refused.value).reason == "INTERRUPTED"
    assert raw.logs(id).count(b"begun") == 1
