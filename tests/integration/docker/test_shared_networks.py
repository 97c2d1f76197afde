"""A tenant and Docker's own network, by every name that Docker takes for it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import docker
import pytest

from integration.docker.policed import Policed, policed
from integration.docker.workloads import DEAF, IMAGE, LABEL
from proad.model import Access
from rpc.tenants import tenant

pytestmark = pytest.mark.docker


@pytest.fixture
def network(raw: docker.APIClient, token: str) -> Iterator[str]:
    raw.create_network(token, labels={LABEL: token})
    yield token
    for container in raw.containers(all=True, filters={"label": f"{LABEL}={token}"}):
        raw.remove_container(container["Id"], force=True, v=True)
    raw.remove_network(token)


@pytest.fixture
async def strict(folder: Path, network: str) -> AsyncIterator[Policed]:
    names = {"allowed_container_networks": ["*", network]}
    async with policed(folder, profiles={"default": names}) as served:
        yield served


async def test_default_network_is_denied_by_every_name_and_changes_nothing(
    strict: Policed, raw: docker.APIClient, network: str
):
    daemon = strict.daemon
    tim = await tenant(daemon, "tim", access=Access.ALL)
    spec = {"image": IMAGE, "command": DEAF, "labels": {LABEL: network}}
    await tim.call("CreateContainer", spec={**spec, "name": f"{network}-own"}, start=True)
    user = await daemon.users.set_access("tim", Access.OWN, "")
    daemon.versions["tim"] = user.token_version
    id = raw.inspect_network("bridge")["Id"]
    names = ("bridge", "default", id, id[:12], id[:6], f"container:{network}-own")
    before = len(strict.changes)

    for name in names:
        networks = [{"network": name}]
        further = [{"network": network}, *networks]
        for request in (
            {"spec": {**spec, "networks": networks}},
            *([{"spec": {**spec, "networks": further}}] if ":" not in name else []),
        ):
            refused = await tim.refused("CreateContainer", **request)
            assert (refused.reason, refused.metadata["rule"]) == ("POLICY_DENIED", "shared network")
    refused = await tim.refused("RestartResource", id=f"{network}-own")
    assert refused.metadata["setting"] == "allow_shared_networks"
    assert strict.changes[before:] == []

    await tim.call("StopResource", id=f"{network}-own", mode=3)
    refused = await tim.refused("StartResource", id=f"{network}-own")
    assert refused.metadata["rule"] == "shared network"


async def test_tenant_without_a_wish_is_on_the_network_of_the_profile(
    strict: Policed, raw: docker.APIClient, network: str
):
    tim = await tenant(strict.daemon, "tim")
    id = raw.inspect_network(network)["Id"]
    spec = {"image": IMAGE, "command": DEAF, "labels": {LABEL: network}}

    for number, networks in enumerate(([], [{"network": id[:16]}], [{"network": network}])):
        named = {**spec, "name": f"{network}-{number}", "networks": networks}
        made = (await tim.call("CreateContainer", spec=named, start=True)).resource
        told = raw.inspect_container(made.id)
        assert list(told["NetworkSettings"]["Networks"]) == [network]
        assert told["HostConfig"]["NetworkMode"] == network
        await tim.call("RestartResource", id=made.id, mode=3)
