"""WaitResource on real engines: what comes there comes with an event, or is looked for."""

from collections.abc import Callable

import pytest
from google.protobuf.duration_pb2 import Duration

import proa
from guest.media import build_guest, medium
from integration.daemon.conftest import Daemon
from proa import v1

IMAGE = "proa-test/busybox:1"
READY = v1.WaitCondition(ready=v1.WaitCondition.Ready())
ADDRESS = v1.WaitCondition(has_address=v1.WaitCondition.HasAddress())
GONE = v1.WaitCondition(gone=v1.WaitCondition.Gone())

Start = Callable[..., Daemon]


def wait(client: proa.Client, id: str, condition: v1.WaitCondition, seconds: int = 120):
    return client.resources.WaitResource(
        v1.WaitResourceRequest(id=id, condition=condition, timeout=Duration(seconds=seconds))
    ).resource


@pytest.mark.docker
def test_wait_for_a_container_with_a_health_check(start_daemon: Start, token: str, swept):
    client = start_daemon().client()
    swept(client)
    check = v1.HealthCheck(shell_command="test -e /tmp/ok")
    check.interval.FromMilliseconds(200)
    spec = v1.ContainerSpec(
        image=IMAGE,
        name=token,
        command=["sh", "-c", "sleep 2; touch /tmp/ok; sleep 600"],
        health_check=check,
    )
    made = client.containers.CreateContainer(
        v1.CreateContainerRequest(spec=spec, start=True)
    ).resource

    assert wait(client, token, ADDRESS).path == made.path
    wait(client, token, READY)

    full = client.resources.GetResource(v1.GetResourceRequest(id=token)).resource
    assert full.container.health == v1.HEALTH_STATUS_HEALTHY
    stop = v1.StopResourceRequest(id=token, mode=v1.STOP_MODE_FORCE)
    client.resources.StopResource(stop)
    with pytest.raises(proa.Error) as caught:
        wait(client, token, READY)
    assert caught.value.reason == "CONDITION_IMPOSSIBLE"


@pytest.mark.docker
def test_wait_for_a_container_that_docker_restarts(start_daemon: Start, token: str, swept):
    client = start_daemon().client()
    swept(client)
    spec = v1.ContainerSpec(
        image=IMAGE,
        name=token,
        # Fails at once until its fourth start, then stays.
        command=["sh", "-c", "echo >>/n; test $(wc -l </n) -ge 4 || exit 1; sleep 600"],
        restart_policy=v1.RestartPolicy(mode=v1.RESTART_POLICY_MODE_ALWAYS),
        networks=[v1.NetworkAttachment(network="none")],
    )
    spec.health_check.shell_command = "test $(wc -l </n) -ge 4"
    spec.health_check.interval.FromMilliseconds(200)
    client.containers.CreateContainer(v1.CreateContainerRequest(spec=spec, start=True))

    wait(client, token, READY)

    # What was stopped by a call, its policy does not start again.
    stop = v1.StopResourceRequest(id=token, mode=v1.STOP_MODE_FORCE)
    client.resources.StopResource(stop)
    with pytest.raises(proa.Error) as caught:
        wait(client, token, READY)
    assert caught.value.reason == "CONDITION_IMPOSSIBLE"


@pytest.mark.docker
def test_wait_for_the_end_of_a_transient_container(start_daemon: Start, token: str, swept):
    client = start_daemon().client()
    swept(client)
    spec = v1.ContainerSpec(
        image=IMAGE, name=token, command=["sleep", "2"], lifetime=v1.LIFETIME_TRANSIENT
    )
    client.containers.CreateContainer(v1.CreateContainerRequest(spec=spec, start=True))

    assert not wait(client, token, GONE).id


@pytest.mark.libvirt
def test_wait_for_a_guest_with_an_agent_and_a_lease(start_daemon: Start, token: str, swept):
    build_guest()
    media = str(medium("guest.iso").parent)
    client = start_daemon(PROA_MEDIA_DIRS=media).client()
    swept(client)
    spec = v1.DomainSpec(
        name=token,
        memory_bytes=160 << 20,
        cdroms=[v1.CdromSpec(path=str(medium("guest.iso")))],
        diskless=True,
    )
    client.domains.CreateDomain(v1.CreateDomainRequest(spec=spec, start=True))

    wait(client, token, READY)
    wait(client, token, ADDRESS)

    full = client.resources.GetResource(v1.GetResourceRequest(id=token)).resource
    assert full.domain.guest_agent_connected
    assert full.domain.networks[0].addresses
