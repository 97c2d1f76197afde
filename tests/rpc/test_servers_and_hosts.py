"""What the daemon tells of itself and of its hosts."""

from datetime import UTC, datetime, timedelta
from importlib.metadata import version

import pytest

from proa import v1
from proad.drivers.memory import MemoryDriver
from proad.model import Capability
from rpc.daemon import RPCS, refusal

HOSTS = ("b", "a", "c")


@pytest.fixture
async def daemon_of_three(serve):
    return await serve(*((host, MemoryDriver()) for host in HOSTS))


async def test_server_info_has_version_epoch_and_limits(daemon):
    server = (await daemon.call("GetServerInfo")).server

    assert server.version == version("proa")
    assert server.epoch == (await daemon.call("ListResources")).epoch
    assert timedelta(0) < datetime.now(UTC) - server.start_time.ToDatetime(UTC) < timedelta(hours=1)
    assert list(server.features) == [v1.FEATURE_REQUEST_IDS]
    assert server.limits.max_page_size == 1000
    assert server.limits.max_request_bytes == max(rpc.max_request_bytes for rpc in RPCS.values())
    assert server.limits.token_lifetime.ToTimedelta() == daemon.settings.token_lifetime
    assert server.limits.request_retention.ToTimedelta() == timedelta(hours=24)


async def test_host_tells_no_capability_that_its_engine_lacks(serve):
    far = MemoryDriver()
    far.lacks = frozenset({Capability.PORT_FORWARDING})
    daemon = await serve(("near", MemoryDriver()), ("far", far))

    told = {}
    for host in ("near", "far"):
        (engine,) = (await daemon.call("GetHost", host=host)).host.engines
        told[host] = set(engine.capabilities)
    assert told["near"] - told["far"] == {v1.CAPABILITY_PORT_FORWARDING}
    listed = (await daemon.call("ListHosts")).hosts
    assert {host.name: set(host.engines[0].capabilities) for host in listed} == told


@pytest.mark.parametrize("scopes", [("basic",), ("advanced",)])
async def test_server_info_needs_any_token(daemon, scopes):
    rpc, request = RPCS["GetServerInfo"], v1.GetServerInfoRequest()

    answer = await daemon.send(rpc, request, token=daemon.token(*scopes))
    refused = await refusal(daemon.send(rpc, request))

    assert answer.server.version
    assert refused.reason == "TOKEN_MISSING"


async def test_hosts_are_listed_by_name_as_get_host_tells_them(daemon_of_three):
    listed = (await daemon_of_three.call("ListHosts")).hosts

    assert [host.name for host in listed] == sorted(HOSTS)
    for host in listed:
        assert (await daemon_of_three.call("GetHost", host=host.name)).host == host
    assert (await daemon_of_three.call("GetHost")).host.name == HOSTS[0]


async def test_hosts_page_by_page_are_all_hosts(daemon_of_three):
    names, token = [], ""
    for _ in HOSTS:
        page = await daemon_of_three.call("ListHosts", page_size=1, page_token=token)
        names += [host.name for host in page.hosts]
        token = page.next_page_token

    assert (names, token) == (sorted(HOSTS), "")
    refused = await refusal(daemon_of_three.call("ListHosts", page_token="no"))
    assert refused.reason == "PAGE_TOKEN_INVALID"
