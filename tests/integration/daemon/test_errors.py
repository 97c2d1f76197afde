"""Every row of the error table, through the daemon, on real engines."""

import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

import proa
from guest.media import image_archive
from integration.daemon.conftest import PASSWORD, Daemon, under_way
from integration.docker.private_engine import PrivateEngine
from proa import v1

pytestmark = [pytest.mark.docker, pytest.mark.libvirt]

IMAGE = "proa-test/busybox:1"
DEAF = ["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"]
OBEDIENT = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]
Start = Callable[..., Daemon]


@pytest.fixture
def client(start_daemon: Start, swept) -> proa.Client:
    client = start_daemon().client()
    swept(client)
    return client


@pytest.fixture
def own_image(token: str) -> Iterator[str]:
    """Yield an image that no other test uses: one with a second name could be deleted."""
    with closing(docker.from_env().api) as engine:
        engine.import_image(str(image_archive()), repository=token, tag="1")
        try:
            yield f"{token}:1"
        finally:
            engine.remove_image(f"{token}:1", force=True)


def run(
    client: proa.Client, name: str, *command: str, image: str = IMAGE, **fields: Any
) -> v1.Resource:
    spec = v1.ContainerSpec(image=image, name=name, command=command, **fields)
    return client.containers.CreateContainer(
        v1.CreateContainerRequest(spec=spec, start=True)
    ).resource


def define(client: proa.Client, name: str, *, start: bool = False) -> v1.Resource:
    spec = v1.DomainSpec(name=name, memory_bytes=64 << 20, networkless=True)
    spec.disks.add().new_volume.capacity_bytes = 1 << 20
    return client.domains.CreateDomain(v1.CreateDomainRequest(spec=spec, start=start)).resource


def refused(code: grpc.StatusCode, reason: str, call: Callable[[], object]) -> proa.Error:
    with pytest.raises(proa.Error) as caught:
        call()
    assert (caught.value.code(), caught.value.reason) == (code, reason)
    return caught.value


def test_error_missing_things_are_not_found(client: proa.Client, token: str):
    domain = define(client, token)
    for call, reason in (
        (lambda: client.resources.GetResource(v1.GetResourceRequest(id="no")), "RESOURCE"),
        (lambda: client.images.GetImage(v1.GetImageRequest(image="proa-test/no")), "IMAGE"),
        (
            lambda: client.snapshots.GetSnapshot(v1.GetSnapshotRequest(id=domain.id, name="no")),
            "SNAPSHOT",
        ),
        (lambda: client.volumes.DeleteVolume(v1.DeleteVolumeRequest(name="no")), "VOLUME"),
        (lambda: client.hosts.GetHost(v1.GetHostRequest(host="no")), "HOST"),
    ):
        refused(grpc.StatusCode.NOT_FOUND, f"{reason}_NOT_FOUND", call)
    refused(
        grpc.StatusCode.NOT_FOUND,
        "IMAGE_NOT_FOUND",
        lambda: client.containers.CreateContainer(
            v1.CreateContainerRequest(spec=v1.ContainerSpec(image="proa-test/no", name=token))
        ),
    )


def test_error_wrong_requests_name_the_field(client: proa.Client, token: str):
    spec = v1.DomainSpec(name=token, memory_bytes=5)
    error = refused(
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_ARGUMENT",
        lambda: client.domains.CreateDomain(v1.CreateDomainRequest(spec=spec)),
    )
    assert [violation.field for violation in error.violations] == ["spec.memory_bytes"]
    error = refused(
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_ARGUMENT",
        lambda: client.domains.CreateDomainFromXml(
            v1.CreateDomainFromXmlRequest(xml="<domain><name>x</name")
        ),
    )
    assert [violation.field for violation in error.violations] == ["xml"]


def test_error_existing_ambiguous_or_used_things_are_named(
    own_image: str, client: proa.Client, token: str
):
    container = run(client, token, *OBEDIENT, image=own_image)
    domain = define(client, token)
    for again in (lambda: run(client, token), lambda: define(client, token)):
        error = refused(grpc.StatusCode.ALREADY_EXISTS, "ALREADY_EXISTS", again)
        assert error.metadata["existing_id"] in {container.id, domain.id}
    refused(
        grpc.StatusCode.FAILED_PRECONDITION,
        "AMBIGUOUS_ID",
        lambda: client.resources.GetResource(v1.GetResourceRequest(id=token)),
    )
    (disk,) = client.resources.GetResource(
        v1.GetResourceRequest(id=domain.id)
    ).resource.domain.disks
    volume = v1.DeleteVolumeRequest(pool=disk.volume.pool, name=disk.volume.name)
    refused(
        grpc.StatusCode.FAILED_PRECONDITION,
        "IN_USE",
        lambda: client.volumes.DeleteVolume(volume),
    )
    refused(
        grpc.StatusCode.FAILED_PRECONDITION,
        "IN_USE",
        lambda: client.images.DeleteImage(v1.DeleteImageRequest(image=own_image)),
    )


@pytest.mark.parametrize(
    "make", [lambda c, t: run(c, t, *OBEDIENT), lambda c, t: define(c, t, start=True)]
)
def test_error_illegal_states_name_state_and_verb(
    client: proa.Client, token: str, make: Callable[..., v1.Resource]
):
    resource, resources = make(client, token), client.resources
    failed = grpc.StatusCode.FAILED_PRECONDITION
    running = {
        "RESOURCE_ALREADY_RUNNING": lambda: resources.StartResource(
            v1.StartResourceRequest(id=resource.id)
        ),
        "RESOURCE_RUNNING": lambda: resources.DeleteResource(
            v1.DeleteResourceRequest(id=resource.id)
        ),
        "ILLEGAL_STATE": lambda: resources.ResumeResource(v1.ResumeResourceRequest(id=resource.id)),
    }
    for reason, call in running.items():
        error = refused(failed, reason, call)
        assert "STOP" in error.metadata["allowed_verbs"].split(",")
    resources.StopResource(v1.StopResourceRequest(id=resource.id, mode=v1.STOP_MODE_FORCE))
    for call in (
        lambda: resources.StopResource(v1.StopResourceRequest(id=resource.id)),
        lambda: resources.PauseResource(v1.PauseResourceRequest(id=resource.id)),
        lambda: resources.RestartResource(v1.RestartResourceRequest(id=resource.id)),
    ):
        refused(failed, "RESOURCE_NOT_RUNNING", call)


def test_error_domain_with_snapshots_or_saved_state_is_kept(client: proa.Client, token: str):
    domain = define(client, token, start=True)
    delete = v1.DeleteResourceRequest(id=domain.id)
    failed = grpc.StatusCode.FAILED_PRECONDITION
    stop = v1.StopResourceRequest(id=domain.id, mode=v1.STOP_MODE_SAVE)
    client.resources.StopResource(stop)
    refused(failed, "HAS_SAVED_STATE", lambda: client.resources.DeleteResource(delete))
    client.resources.StartResource(v1.StartResourceRequest(id=domain.id, discard_saved_state=True))
    client.snapshots.CreateSnapshot(v1.CreateSnapshotRequest(id=domain.id, name="s"))
    client.resources.StopResource(v1.StopResourceRequest(id=domain.id, mode=v1.STOP_MODE_FORCE))
    refused(failed, "HAS_SNAPSHOTS", lambda: client.resources.DeleteResource(delete))


def test_error_engine_that_cannot_or_refuses_says_so(client: proa.Client, token: str):
    container = run(client, token, *OBEDIENT)
    missing = grpc.StatusCode.UNIMPLEMENTED
    save = v1.StopResourceRequest(id=container.id, mode=v1.STOP_MODE_SAVE)
    refused(missing, "CAPABILITY_MISSING", lambda: client.resources.StopResource(save))
    snapshot = v1.CreateSnapshotRequest(id=container.id)
    refused(missing, "CAPABILITY_MISSING", lambda: client.snapshots.CreateSnapshot(snapshot))
    error = refused(
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_ARGUMENT",
        lambda: run(client, f"{token}-2", "/no/such/program"),
    )
    assert [each.field for each in error.violations] == ["spec.command[0]"]


def test_error_time_that_runs_out_is_deadline_exceeded(client: proa.Client, token: str):
    container = run(client, token, *DEAF)

    def graceful(seconds: int) -> None:
        client.resources.StopResource(
            v1.StopResourceRequest(
                id=container.id,
                mode=v1.STOP_MODE_GRACEFUL,
                grace_period=Duration(seconds=seconds),
            )
        )

    late = grpc.StatusCode.DEADLINE_EXCEEDED
    refused(late, "STOP_TIMED_OUT", lambda: graceful(1))
    waiting = threading.Thread(target=lambda: refused(late, "STOP_TIMED_OUT", lambda: graceful(12)))
    waiting.start()
    under_way(client, token)
    error = refused(
        grpc.StatusCode.ABORTED,
        "ACTIVITY_IN_PROGRESS",
        lambda: client.resources.PauseResource(v1.PauseResourceRequest(id=container.id)),
    )
    assert error.retry_after is not None
    waiting.join()


def test_error_callers_without_permission_are_told_why(start_daemon: Start, token: str):
    daemon = start_daemon()
    unknown = grpc.StatusCode.UNAUTHENTICATED
    who = v1.GetCallerRequest()
    with proa.connect(daemon.address) as client:
        refused(unknown, "TOKEN_MISSING", lambda: client.auth.GetCaller(who))
    with proa.connect(daemon.address, token="a.b.c") as client:
        refused(unknown, "TOKEN_INVALID", lambda: client.auth.GetCaller(who))
    with proa.connect(daemon.address, username="ada", password="wrong") as client:
        refused(unknown, "BAD_CREDENTIALS", lambda: client.auth.GetCaller(who))
    with daemon.client() as client:
        given = client.auth.CreateToken(
            v1.CreateTokenRequest(username="ada", password=PASSWORD)
        ).token
    with proa.connect(daemon.address, token=given) as client:
        client.auth.RevokeToken(v1.RevokeTokenRequest())
        refused(unknown, "TOKEN_REVOKED", lambda: client.auth.GetCaller(who))
    with daemon.client("eve") as client:
        error = refused(
            grpc.StatusCode.PERMISSION_DENIED,
            "SCOPE_MISSING",
            lambda: run(client, token),
        )
        assert error.metadata["required_scope"] == "advanced"


@pytest.fixture
def dockerd() -> Iterator[PrivateEngine]:
    with tempfile.TemporaryDirectory(prefix="proa-test-", ignore_cleanup_errors=True) as name:
        engine = PrivateEngine(Path(name))
        engine.start()
        yield engine
        engine.stop()


def test_error_engine_that_hangs_is_unavailable(start_daemon: Start, dockerd: PrivateEngine):
    daemon = start_daemon(PROA_DOCKER_URL=dockerd.url, PROA_LIBVIRT_URI="")
    with daemon.client(timeout=10) as client:
        images = v1.ListImagesRequest()
        deadline = time.monotonic() + 60
        while True:
            try:
                client.images.ListImages(images)
                break
            except proa.Unavailable:
                assert time.monotonic() < deadline
        dockerd.signal(signal.SIGSTOP)
        error = refused(
            grpc.StatusCode.DEADLINE_EXCEEDED,
            "ENGINE_TIMED_OUT",
            lambda: client.containers.PruneContainers(
                v1.PruneContainersRequest(labels={"proa-test": "none"}), timeout=3
            ),
        )
        assert "look again" in error.message
