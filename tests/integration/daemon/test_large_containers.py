"""Containers made on Docker's own socket may be larger than the default limit of a message."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import docker
import grpc
import pytest

from eventually import wait_until
from guest.media import import_image
from integration.daemon.conftest import PASSWORD, Daemon
from integration.docker.archives import saved_image
from integration.docker.private_engine import PrivateEngine
from integration.docker.workloads import IMAGE
from proa import v1
from proa.v1 import auth_service_pb2_grpc, image_service_pb2_grpc, resource_service_pb2_grpc

pytestmark = pytest.mark.docker

LABELS = {f"note{number}": "x" * 2**20 for number in range(9)}


@dataclass
class Stock:
    """A client with gRPC's defaults, among them 4 MiB for a message."""

    channel: grpc.Channel
    metadata: list[tuple[str, str]]

    def __getattr__(self, method: str) -> Callable[[Any], Any]:
        for stub in (
            resource_service_pb2_grpc.ResourceServiceStub(self.channel),
            image_service_pb2_grpc.ImageServiceStub(self.channel),
        ):
            if (found := getattr(stub, method, None)) is not None:
                return lambda request: found(request, metadata=self.metadata, timeout=60)
        raise AttributeError(method)


@pytest.fixture
def engine() -> Iterator[PrivateEngine]:
    with tempfile.TemporaryDirectory(prefix="proa-test-", ignore_cleanup_errors=True) as name:
        engine = PrivateEngine(Path(name))
        engine.start()
        yield engine
        engine.stop()


@pytest.fixture
def client(start_daemon: Callable[..., Daemon], engine: PrivateEngine) -> Iterator[Stock]:
    daemon = start_daemon(PROA_DOCKER_URL=engine.url, PROA_LIBVIRT_URI="")
    with grpc.insecure_channel(daemon.address) as channel:
        token = auth_service_pb2_grpc.AuthServiceStub(channel).CreateToken(
            v1.CreateTokenRequest(username="ada", password=PASSWORD)
        )
        client = Stock(channel, [("authorization", f"Bearer {token.token}")])
        wait_until(
            lambda: client.ListResources(v1.ListResourcesRequest()) is not None,
            "the engine is served",
            within=90,
            tolerate=(grpc.RpcError,),
        )
        yield client


@pytest.fixture
def raw(client: Stock, engine: PrivateEngine) -> Iterator[docker.APIClient]:
    """The engine's own socket, once the daemon has seen that it answers."""
    import_image(engine.url)
    raw = docker.APIClient(engine.url, version="auto", timeout=60)
    yield raw
    raw.close()


def test_container_with_huge_labels_breaks_no_list_watch_or_verb(
    client: Stock, raw: docker.APIClient
):
    made = raw.create_container(IMAGE, ["sleep", "600"], name="huge", labels=LABELS)["Id"]
    raw.create_container(IMAGE, ["sleep", "600"], name="web", labels={"a": "b"})

    for id in ("web", made):
        client.GetResource(v1.GetResourceRequest(id=id))
    for view in (v1.RESOURCE_VIEW_SUMMARY, v1.RESOURCE_VIEW_FULL):
        listed = client.ListResources(v1.ListResourcesRequest(view=view)).resources
        assert [(r.name, r.labels.get("a"), r.truncated) for r in listed] == [
            ("huge", None, True),
            ("web", "b", False),
        ]
        assert listed[0].container.image == IMAGE
    watch = client.WatchResources(v1.WatchResourcesRequest())
    events = (event for response in watch for event in response.events)
    there = [e.change.resource for e in takewhile(lambda e: not e.bookmark.synced, events)]
    watch.cancel()
    assert {r.name: r.truncated for r in there} == {"huge": True, "web": False}
    deleted = client.DeleteResource(v1.DeleteResourceRequest(id="huge")).resource
    assert (deleted.name, deleted.truncated) == ("huge", True)


def test_image_with_huge_labels_breaks_no_list(client: Stock, raw: docker.APIClient):
    list(raw.load_image(saved_image("huge:1", config={"Labels": LABELS})))

    listed = client.ListImages(v1.ListImagesRequest()).images
    got = client.GetImage(v1.GetImageRequest(image="huge:1")).image

    assert {image.tags[0]: image.truncated for image in listed} == {IMAGE: False, "huge:1": True}
    assert (got.truncated, got.architecture, len(got.labels)) == (True, "amd64", 0)
