"""What was made outside Proa, by the default policy, on real engines."""

from collections.abc import Callable, Iterator
from contextlib import suppress

import docker
import libvirt
import pytest

import proa
from integration.daemon.conftest import Daemon
from proa import v1

IMAGE = "proa-test/busybox:1"
XML = """<domain type="qemu"><name>{}</name><memory unit="MiB">64</memory>
<os><type arch="x86_64">hvm</type></os></domain>"""


@pytest.fixture
def default(start_daemon: Callable[..., Daemon], swept) -> proa.Client:
    """A client of a daemon with the default policy."""
    client = start_daemon(PROA_CONFIG="").client()
    swept(client)
    return client


@pytest.fixture
def container(token: str) -> Iterator[tuple[docker.APIClient, str]]:
    """A container that Docker's own client has made, and runs."""
    raw = docker.APIClient()
    id = raw.create_container(IMAGE, ["sleep", "600"], name=token)["Id"]
    raw.start(id)
    yield raw, id
    with suppress(docker.errors.NotFound):
        raw.remove_container(id, force=True)
    raw.close()


@pytest.fixture
def domain(token: str) -> Iterator[libvirt.virDomain]:
    """A domain that libvirt's own client has defined."""
    connection = libvirt.open("qemu:///system")
    made = connection.defineXML(XML.format(token))
    yield made
    with suppress(libvirt.libvirtError):
        made.destroy()
    with suppress(libvirt.libvirtError):
        made.undefine()
    connection.close()


def denied(call: Callable[[], object]) -> proa.Error:
    """Return the error of a call that the policy denies."""
    with pytest.raises(proa.Error) as caught:
        call()
    assert caught.value.reason == "POLICY_DENIED"
    return caught.value


@pytest.mark.docker
def test_container_made_outside_is_stopped_but_not_set_going(
    default: proa.Client, container: tuple[docker.APIClient, str]
):
    raw, id = container
    began = raw.inspect_container(id)["State"]["StartedAt"]
    verbs, containers = default.resources, default.containers
    force = v1.RestartResourceRequest(id=id, mode=v1.RESTART_MODE_FORCE)

    refused = denied(lambda: verbs.RestartResource(force))
    denied(lambda: containers.RecreateContainer(v1.RecreateContainerRequest(id=id)))

    assert refused.metadata["rule"] == "made outside Proa"
    assert refused.metadata["setting"] == "foreign"
    assert raw.inspect_container(id)["State"]["StartedAt"] == began
    verbs.PauseResource(v1.PauseResourceRequest(id=id))
    verbs.ResumeResource(v1.ResumeResourceRequest(id=id))
    verbs.StopResource(v1.StopResourceRequest(id=id, mode=v1.STOP_MODE_FORCE))
    denied(lambda: verbs.StartResource(v1.StartResourceRequest(id=id)))
    assert raw.inspect_container(id)["State"]["StartedAt"] == began
    verbs.DeleteResource(v1.DeleteResourceRequest(id=id))


@pytest.mark.libvirt
def test_domain_made_outside_is_stopped_but_not_set_going(
    default: proa.Client, domain: libvirt.virDomain, token: str
):
    verbs, snapshots = default.resources, default.snapshots

    denied(lambda: verbs.StartResource(v1.StartResourceRequest(id=token)))
    denied(lambda: snapshots.CreateSnapshot(v1.CreateSnapshotRequest(id=token, name="one")))

    assert not domain.isActive()
    assert domain.snapshotNum() == 0
    domain.create()
    verbs.PauseResource(v1.PauseResourceRequest(id=token))
    number = domain.ID()
    reset = v1.RestartResourceRequest(id=token, mode=v1.RESTART_MODE_FORCE)
    verbs.ResumeResource(v1.ResumeResourceRequest(id=token))
    denied(lambda: verbs.RestartResource(reset))
    assert domain.ID() == number
    verbs.StopResource(v1.StopResourceRequest(id=token, mode=v1.STOP_MODE_FORCE))
    assert not domain.isActive()
    verbs.DeleteResource(v1.DeleteResourceRequest(id=token))
