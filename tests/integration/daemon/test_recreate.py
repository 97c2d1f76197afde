"""RecreateContainer refuses what the contract cannot tell, on real Docker."""

from collections.abc import Callable

import docker
import pytest

import proa
from integration.daemon.conftest import Daemon
from proa import v1

IMAGE = "proa-test/busybox:1"


@pytest.mark.docker
def test_recreate_of_what_the_contract_cannot_tell_changes_nothing(
    start_daemon: Callable[..., Daemon], token: str, swept: Callable[[proa.Client], None]
):
    raw = docker.APIClient()
    host = raw.create_host_config(privileged=True)
    id = raw.create_container(IMAGE, ["sleep", "600"], name=token, host_config=host)["Id"]
    client = start_daemon().client()
    swept(client)
    before = client.resources.GetResource(v1.GetResourceRequest(id=token)).resource

    with pytest.raises(proa.Error) as caught:
        client.containers.RecreateContainer(v1.RecreateContainerRequest(id=token))

    assert caught.value.reason == "SPEC_INCOMPLETE"
    assert "HostConfig.Privileged" in caught.value.metadata["fields"]
    assert "HostConfig.Privileged" in before.container.spec_omits
    after = client.resources.GetResource(v1.GetResourceRequest(id=token)).resource
    assert (after.id, after.name, after.state) == (id, token, before.state)
