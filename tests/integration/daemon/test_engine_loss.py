"""An engine that dies or hangs takes its own calls with it, and nothing else."""

import asyncio
import re
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2

import grpc_services
import proa
from eventually import wait_until
from integration.daemon.conftest import Daemon
from integration.docker.private_engine import PrivateEngine
from integration.docker.version_proxy import VersionProxy
from integration.libvirt.private_libvirtd import PrivateLibvirtd
from proa import v1
from proad.drivers.docker.http.api_version import NEWEST_TESTED

pytestmark = [pytest.mark.docker, pytest.mark.libvirt]

Start = Callable[..., Daemon]
# A read that fails is not to be tried again by the client: how fast it fails is the point.
ONCE = (("grpc.enable_retries", 0),)
CONTAINERS = v1.ResourceFilter(kinds=[v1.RESOURCE_KIND_CONTAINER])
DOMAINS = v1.ResourceFilter(kinds=[v1.RESOURCE_KIND_DOMAIN])


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="proa-test-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@pytest.fixture
def dockerd(folder: Path) -> Iterator[PrivateEngine]:
    (folder / "docker").mkdir()
    engine = PrivateEngine(folder / "docker")
    engine.start()
    yield engine
    engine.stop()


@pytest.fixture
def libvirtd(folder: Path) -> Iterator[PrivateLibvirtd]:
    (folder / "libvirt").mkdir()
    engine = PrivateLibvirtd(folder / "libvirt")
    engine.start()
    yield engine
    engine.stop()


@pytest.fixture
def daemon(start_daemon: Start, dockerd: PrivateEngine, libvirtd: PrivateLibvirtd) -> Daemon:
    return start_daemon(PROA_DOCKER_URL=dockerd.url, PROA_LIBVIRT_URI=libvirtd.uri)


@pytest.fixture
def client(daemon: Daemon) -> Iterator[proa.Client]:
    with daemon.client(options=ONCE) as client:
        wait_until(lambda: lists(client, CONTAINERS) and lists(client, DOMAINS))
        yield client


def lists(client: proa.Client, which: v1.ResourceFilter) -> bool:
    try:
        client.resources.ListResources(v1.ListResourcesRequest(filter=which))
    except proa.Unavailable:
        return False
    return True


def check_known(which: v1.ResourceFilter, client: proa.Client) -> None:
    """A read may be answered from memory until the loss is known, which takes seconds."""
    wait_until(lambda: not lists(client, which), "the loss is known", within=5)


def check_unavailable(call: Callable[[], object]) -> None:
    begin = time.monotonic()
    with pytest.raises(proa.Unavailable) as caught:
        call()
    assert time.monotonic() - begin < 5
    assert caught.value.reason == "ENGINE_UNREACHABLE"
    assert caught.value.retry_after is not None


def serving(daemon: Daemon, service: str) -> bool:
    with grpc.insecure_channel(daemon.address) as channel:
        answer = grpc_services.health(channel).Check(
            health_pb2.HealthCheckRequest(service=f"proa.v1.{service}")
        )
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def engine_of(client: proa.Client, driver: str) -> v1.Engine:
    host = client.hosts.GetHost(v1.GetHostRequest()).host
    (engine,) = [engine for engine in host.engines if engine.ref.driver == driver]
    return engine


def engine_health(client: proa.Client, driver: str) -> str:
    health = engine_of(client, driver).health
    return v1.EngineHealth.Name(health).removeprefix("ENGINE_HEALTH_")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP])
def test_dockerd_lost_fails_containers_alone_and_recovers(
    daemon: Daemon, client: proa.Client, dockerd: PrivateEngine, number: signal.Signals
):
    dockerd.signal(number)

    check_known(CONTAINERS, client)
    check_unavailable(lambda: lists_or_raises(client, CONTAINERS))
    check_unavailable(
        lambda: client.containers.CreateContainer(
            v1.CreateContainerRequest(spec=v1.ContainerSpec(image="proa-test/busybox:1"))
        )
    )
    check_unavailable(lambda: client.images.ListImages(v1.ListImagesRequest()))
    check_unavailable(lambda: lists_or_raises(client, None))

    assert lists(client, DOMAINS)
    partial = client.resources.ListResources(v1.ListResourcesRequest(return_partial_success=True))
    assert [engine.driver for engine in partial.unreachable] == ["docker"]
    created = client.domains.CreateDomain(v1.CreateDomainRequest(spec=tiny_domain())).resource
    client.resources.DeleteResource(v1.DeleteResourceRequest(id=created.name))
    wait_until(lambda: not serving(daemon, "ContainerService"))
    assert serving(daemon, "DomainService")
    assert serving(daemon, "ResourceService")
    assert engine_health(client, "docker") == "UNREACHABLE"

    if number is signal.SIGSTOP:
        dockerd.signal(signal.SIGCONT)
    else:
        dockerd.start()
    wait_until(lambda: lists(client, CONTAINERS))
    wait_until(lambda: serving(daemon, "ContainerService"))
    assert engine_health(client, "docker") == "SERVING"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP])
def test_libvirtd_lost_fails_domains_alone_and_recovers(
    daemon: Daemon, client: proa.Client, libvirtd: PrivateLibvirtd, number: signal.Signals
):
    created = client.domains.CreateDomain(v1.CreateDomainRequest(spec=tiny_domain())).resource
    libvirtd.signal(number)

    check_known(DOMAINS, client)
    check_unavailable(lambda: lists_or_raises(client, DOMAINS))
    check_unavailable(
        lambda: client.domains.CreateDomain(
            v1.CreateDomainRequest(spec=v1.DomainSpec(name="other", memory_bytes=32 << 20))
        )
    )
    check_unavailable(lambda: client.volumes.ListVolumes(v1.ListVolumesRequest()))
    check_unavailable(lambda: client.resources.GetResource(v1.GetResourceRequest(id=created.id)))

    assert lists(client, CONTAINERS)
    assert client.containers.PruneContainers(
        v1.PruneContainersRequest(labels={"proa-test": "nobody"})
    )
    wait_until(lambda: not serving(daemon, "DomainService"))
    assert serving(daemon, "ContainerService")
    assert engine_health(client, "libvirt") == "UNREACHABLE"

    if number is signal.SIGSTOP:
        libvirtd.signal(signal.SIGCONT)
    else:
        libvirtd.start()
    wait_until(lambda: lists(client, DOMAINS))
    wait_until(lambda: serving(daemon, "DomainService"))
    again = client.resources.GetResource(v1.GetResourceRequest(id=created.id)).resource
    assert again.name == created.name


async def test_engine_with_unknown_api_is_unreachable_with_advice(
    start_daemon: Start, dockerd: PrivateEngine, folder: Path
):
    newer = VersionProxy(
        Path(dockerd.url.removeprefix("unix://")),
        folder / "proxy.sock",
        oldest=NEWEST_TESTED._replace(minor=98),
        newest=NEWEST_TESTED._replace(minor=99),
    )
    advice = f"start dockerd with DOCKER_MIN_API_VERSION={NEWEST_TESTED}"

    def check() -> None:
        daemon = start_daemon(PROA_DOCKER_URL=newer.url, PROA_LIBVIRT_URI="")
        with daemon.client(options=ONCE) as client:
            wait_until(lambda: advice in engine_of(client, "docker").health_message)
            assert engine_health(client, "docker") == "UNREACHABLE"
            with pytest.raises(proa.Unavailable, match=re.escape(advice)):
                lists_or_raises(client, CONTAINERS)
            assert not serving(daemon, "ContainerService")
            lost = [event for event in daemon.log() if event["event"] == "engine lost"]
            assert advice in lost[-1]["cause"]

            newer.oldest = NEWEST_TESTED
            wait_until(lambda: lists(client, CONTAINERS))
            assert engine_of(client, "docker").api_version == str(NEWEST_TESTED)

    async with newer.serving():
        await asyncio.to_thread(check)


def lists_or_raises(client: proa.Client, which: v1.ResourceFilter | None) -> None:
    client.resources.ListResources(v1.ListResourcesRequest(filter=which))


def tiny_domain() -> v1.DomainSpec:
    return v1.DomainSpec(
        name="proa-test-tiny", memory_bytes=32 << 20, diskless=True, networkless=True
    )
