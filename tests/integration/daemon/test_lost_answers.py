"""What the clients do when the answer to a change is lost."""

import asyncio
import signal

import pytest

import proa
from eventually import wait_until
from guest.media import import_image
from integration.daemon.conftest import PASSWORD
from integration.daemon.cutting_proxy import cutting_proxy
from proa import v1

IMAGE = "proa-test/busybox:1"


def create(name):
    spec = v1.ContainerSpec(image=IMAGE, name=name, command=["sleep", "1000"])
    return v1.CreateContainerRequest(spec=spec)


def ended(client):
    """Wait until the only request has succeeded."""
    request = v1.ListRequestsRequest(states=[v1.REQUEST_STATE_SUCCEEDED])
    wait_until(lambda: client.operations.ListRequests(request).requests, "the request succeeds")


def named(client, name):
    return [r.id for r in client.list_resources() if r.name == name]


def test_create_whose_connection_breaks_happens_once(start_daemon):
    daemon = start_daemon("--memory")
    with cutting_proxy(daemon.address) as proxy, daemon.client() as direct:
        with proa.connect(proxy.target, username="ada", password=PASSWORD) as client:
            assert not named(client, "web")
            proxy.lose_next(lambda: ended(direct))

            made = client.containers.CreateContainer(create("web"))

        assert proxy.losses == 1
        assert named(direct, "web") == [made.resource.id]


async def test_aio_create_whose_connection_breaks_happens_once(start_daemon):
    daemon = await asyncio.to_thread(start_daemon, "--memory")
    with cutting_proxy(daemon.address) as proxy, daemon.client() as direct:
        async with proa.aio.connect(proxy.target, username="ada", password=PASSWORD) as client:
            assert not [r async for r in client.list_resources() if r.name == "web"]
            proxy.lose_next(lambda: ended(direct))

            made = await client.containers.CreateContainer(create("web"))

        assert proxy.losses == 1
        assert named(direct, "web") == [made.resource.id]


def test_create_without_request_ids_is_not_repeated(start_daemon):
    daemon = start_daemon("--memory")
    with (
        cutting_proxy(daemon.address) as proxy,
        daemon.client() as direct,
        proa.connect(proxy.target, username="ada", password=PASSWORD, request_ids=False) as client,
    ):
        assert not named(client, "web")
        proxy.lose_next(lambda: wait_until(lambda: named(direct, "web"), "it is made"))

        with pytest.raises(proa.Unavailable):
            client.containers.CreateContainer(create("web"))

        assert len(named(direct, "web")) == 1


def test_pull_whose_connection_breaks_goes_on(start_daemon):
    daemon = start_daemon("--memory")
    with (
        cutting_proxy(daemon.address) as proxy,
        daemon.client() as direct,
        proa.connect(proxy.target, username="ada", password=PASSWORD) as client,
    ):
        events = iter(client.images.PullImage(v1.PullImageRequest(image="debian:12")))
        next(events)
        proxy.lose_next(lambda: ended(direct))

        last = list(events)[-1]

        assert last.image.id
        assert len(direct.operations.ListRequests(v1.ListRequestsRequest()).requests) == 1


@pytest.mark.docker
def test_create_whose_daemon_is_killed_and_started_anew_happens_once(start_daemon, token):
    import_image()
    daemon = start_daemon()
    with cutting_proxy(daemon.address) as proxy:

        def restart():
            with daemon.client() as direct:
                ended(direct)
            daemon.stop(signal.SIGKILL)
            daemon.start()

        with proa.connect(proxy.target, username="ada", password=PASSWORD) as client:
            assert not named(client, token)
            proxy.lose_next(restart)

            made = client.containers.CreateContainer(create(token))

            assert proxy.losses == 1
            assert named(client, token) == [made.resource.id]
            client.resources.DeleteResource(v1.DeleteResourceRequest(id=token, force=True))
