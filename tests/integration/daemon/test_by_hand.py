"""The daemon as an operator drives it who has nothing but reflection: buf curl."""

import base64
import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from google.rpc import error_details_pb2

from guest.media import build_guest, medium
from integration.daemon.conftest import BIN, PASSWORD, Daemon


class Operator:
    """Types requests, with no stubs and no proto files at hand."""

    def __init__(self, daemon: Daemon) -> None:
        self.url = f"http://{daemon.address}"
        self.token = ""

    def buf(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        header = ["-H", f"authorization: Bearer {self.token}"] if self.token else []
        return subprocess.run(
            [
                BIN / "buf",
                "curl",
                "--protocol=grpc",
                "--http2-prior-knowledge",
                *header,
                *arguments,
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def __call__(self, method: str, **request: object) -> Any:
        done = self.buf("-d", json.dumps(request), f"{self.url}/proa.v1.{method}")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def refused(self, method: str, **request: object) -> Any:
        done = self.buf("-d", json.dumps(request), f"{self.url}/proa.v1.{method}")
        assert done.returncode != 0
        return json.loads(done.stderr)


@pytest.mark.docker
@pytest.mark.libvirt
def test_buf_curl_session_runs(start_daemon: Callable[..., Daemon], token: str, swept):
    build_guest()
    daemon = start_daemon(PROA_MEDIA_DIRS=str(medium("guest.iso").parent), PROA_CONFIG="")
    swept(daemon.client())
    operator = Operator(daemon)

    services = operator.buf("--list-services", operator.url).stdout.split()
    assert "proa.v1.ResourceService" in services
    assert "grpc.health.v1.Health" in services

    operator.token = operator("AuthService/CreateToken", username="ada", password=PASSWORD)["token"]
    container = operator(
        "ContainerService/CreateContainer",
        spec={"image": "proa-test/busybox:1", "name": token, "command": ["sleep", "600"]},
        start=True,
    )["resource"]
    assert container["state"] == "RESOURCE_STATE_RUNNING"
    domain = operator(
        "DomainService/CreateDomain",
        spec={
            "name": token,
            "memory_bytes": 160 << 20,
            "cdroms": [{"path": str(medium("guest.iso"))}],
            "diskless": True,
            "networkless": True,
        },
        start=True,
    )["resource"]
    assert domain["state"] == "RESOURCE_STATE_RUNNING"

    listed = operator("ResourceService/ListResources", filter={"name_prefix": token})["resources"]
    assert {r["id"] for r in listed} == {container["id"], domain["id"]}

    ambiguous = operator.refused("ResourceService/StopResource", id=token)
    assert ambiguous["code"] == "failed_precondition"
    info = error_details_pb2.ErrorInfo()
    (packed,) = [d for d in ambiguous["details"] if d["type"] == "google.rpc.ErrorInfo"]
    info.ParseFromString(base64.b64decode(packed["value"] + "=="))
    assert (info.domain, info.reason) == ("proa.dev", "AMBIGUOUS_ID")
    assert domain["path"] in info.metadata["candidates"]

    stopped = operator(
        "ResourceService/StopResource", id=f"domain/{token}", mode="STOP_MODE_FORCE"
    )["resource"]
    assert stopped["state"] == "RESOURCE_STATE_STOPPED"
    operator("ResourceService/DeleteResource", id=f"domain/{token}")
    operator("ResourceService/DeleteResource", id=f"container/{token}", force=True)
    assert "resources" not in operator(
        "ResourceService/ListResources", filter={"name_prefix": token}
    )
