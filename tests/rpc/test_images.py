"""Images: pulls with progress, registries, deletion."""

import asyncio

import grpc
import pytest

from eventually import eventually
from proa import v1
from proa.contract import service_config
from proad.drivers.memory import MemoryDriver
from rpc.daemon import BOTH, IMAGE, RPCS, refusal


async def pulled(daemon, image, **request):
    return [event async for event in daemon.call("PullImage", image=image, **request)]


async def test_pull_streams_progress_and_the_image(daemon):
    *steps, last = await pulled(daemon, "debian:12")

    assert {event.WhichOneof("event") for event in steps} == {"progress"}
    assert last.WhichOneof("event") == "image"
    done = [event.progress.current_bytes for event in steps if event.progress.layer_id]
    assert done == sorted(done)
    assert done[-1] == steps[0].progress.total_bytes
    assert (list(last.image.tags), last.image.host) == (["debian:12"], "local")
    got = (await daemon.call("GetImage", image="debian:12")).image
    assert got == last.image


async def test_pull_repeated_succeeds(daemon):
    first, second = await pulled(daemon, "debian:12"), await pulled(daemon, "debian:12")

    assert first[-1] == second[-1]


async def test_pull_other_platform_returns_its_image(daemon):
    events = await pulled(daemon, "debian:12", platform="linux/arm64")

    assert events[-1].image.architecture == "arm64"


class Noting(MemoryDriver):
    """Notes how pulls end."""

    def __init__(self):
        super().__init__()
        self.ended = []

    async def pull_image(self, name, **options):
        try:
            async for event in super().pull_image(name, **options):
                yield event
                if name == "slow:1":
                    await asyncio.Event().wait()  # until the caller goes away
        except BaseException as error:
            self.ended.append(type(error).__name__)
            raise
        else:
            self.ended.append("well")


async def test_pull_caller_cancels_ends_the_pull(serve):
    daemon = await serve(("local", Noting()))
    call = daemon.call("PullImage", image="slow:1")
    await call.read()

    call.cancel()

    async def ended():
        return daemon.driver.ended

    await eventually(ended)
    assert daemon.driver.ended[0] in {"CancelledError", "GeneratorExit"}
    assert (await refusal(daemon.call("GetImage", image="slow:1"))).reason == "IMAGE_NOT_FOUND"


async def test_pull_deadline_expires_ends_the_pull(serve):
    daemon = await serve(("local", Noting()))
    call = daemon.call("PullImage", image="slow:1", timeout=2.5)

    async def read_all():
        async for _ in call:
            pass

    refused = await refusal(read_all())

    assert (refused.code, refused.reason) == ("DEADLINE_EXCEEDED", "ENGINE_TIMED_OUT")


async def test_pull_unknown_image_is_not_found(daemon):
    refused = await refusal(daemon.call("PullImage", image="missing/x:1").read())

    assert (refused.code, refused.reason) == ("NOT_FOUND", "IMAGE_NOT_FOUND")


async def test_registry_login_admits_until_logout(daemon):
    image = "reg.example:5000/denied/x:1"
    login = {"registry": "reg.example:5000", "username": "u"}
    refused = await refusal(daemon.call("PullImage", image=image).read())
    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "REGISTRY_DENIED")
    assert refused.metadata["registry"] == "reg.example:5000"

    refused = await refusal(daemon.call("LoginRegistry", password="wrong", **login))
    assert refused.reason == "REGISTRY_DENIED"
    assert (await refusal(daemon.call("PullImage", image=image).read())).reason == "REGISTRY_DENIED"

    await daemon.call("LoginRegistry", password="right", **login)
    assert (await pulled(daemon, image))[-1].HasField("image")

    await daemon.call("LogoutRegistry", registry="reg.example:5000")
    await daemon.call("LogoutRegistry", registry="reg.example:5000")
    assert (await refusal(daemon.call("PullImage", image=image).read())).reason == "REGISTRY_DENIED"


@pytest.mark.parametrize("missing", ["username", "password"])
async def test_registry_login_without_username_or_password_is_refused(daemon, missing):
    request = {"username": "u", "password": "p", missing: ""}

    refused = await refusal(daemon.call("LoginRegistry", **request))

    assert (refused.reason, refused.fields) == ("INVALID_ARGUMENT", [missing])


async def test_registry_login_password_is_not_logged(daemon, capfd):
    await daemon.call("LoginRegistry", username="u", password="the secret password")
    await refusal(daemon.call("CreateToken", username="ann", password="the secret password"))

    assert "the secret password" not in "".join(capfd.readouterr())


async def test_delete_image_in_use_needs_force(daemon):
    await daemon.container("web", start=False)
    assert (await refusal(daemon.call("DeleteImage", image=IMAGE))).reason == "IN_USE"

    deleted = await daemon.call("DeleteImage", image=IMAGE, force=True)

    assert list(deleted.untagged) == [IMAGE]
    assert deleted.deleted
    assert (await refusal(daemon.call("GetImage", image=IMAGE))).reason == "IMAGE_NOT_FOUND"


async def test_image_on_two_hosts_is_chosen_by_host(serve):
    daemon = await serve(("a", MemoryDriver()), ("b", MemoryDriver()))
    await pulled(daemon, "debian:12", host="b")

    assert (await daemon.call("GetImage", image="debian:12", host="b")).image.host == "b"
    assert (await refusal(daemon.call("GetImage", image="debian:12"))).reason == "IMAGE_NOT_FOUND"


async def test_delete_volume_in_use_is_refused(daemon):
    await daemon.call("CreateVolume", spec={"name": "root", "capacity_bytes": 2**20})
    base = {"volume": {"name": "root"}}
    await daemon.domain("vm", start=False, disks=[base])

    refused = await refusal(daemon.call("DeleteVolume", name="root"))
    assert (refused.reason, refused.metadata["used_by"]) == ("IN_USE", "domain vm")
    await daemon.call("DeleteResource", id="vm")
    await daemon.call("DeleteVolume", name="root")

    assert await daemon.call("ListVolumes") == v1.ListVolumesResponse()


async def test_delete_domain_deletes_its_volumes_unless_kept(daemon):
    for keep in (False, True):
        made = await daemon.domain("vm", start=False)
        await daemon.call("DeleteResource", id="vm", keep_volumes=keep)
        volumes = (await daemon.call("ListVolumes")).volumes
        left = [disk.volume.name for disk in made.domain.disks] if keep else []
        assert [volume.name for volume in volumes] == left


@pytest.mark.parametrize(
    "image",
    ["localhost:5000/x", "127.1/x:1", "169.254.169.254/latest", "[::1]:80/x", "localhost/x"],
)
async def test_pull_and_login_registry_on_loopback_are_denied(daemon, image):
    registry = image.partition("/")[0]
    pull = await refusal(daemon.call("PullImage", image=image).read())
    login = daemon.call("LoginRegistry", registry=registry, username="u", password="p")

    for refused in (pull, await refusal(login)):
        assert (refused.code, refused.reason) == ("PERMISSION_DENIED", "POLICY_DENIED")
        assert refused.metadata == {
            "rule": "registry on loopback or link-local",
            "setting": "allowed_registries",
            "settings": "allowed_registries",
            "profile": "default",
        }


async def test_pull_registry_that_is_allowed_is_passed(serve):
    daemon = await serve(allowed_registries="docker.io, localhost:5000")

    assert (await pulled(daemon, "localhost:5000/x"))[-1].HasField("image")
    refused = await refusal(daemon.call("PullImage", image="localhost:5001/x").read())
    assert refused.metadata["rule"] == "registry not listed"


@pytest.mark.parametrize("name", ["PullImage", "LoginRegistry"])
async def test_pull_registry_that_does_not_answer_is_asked_once(serve, name):
    """Clients retry UNAVAILABLE at once, and each try may take the engine half a minute."""

    class Counting(MemoryDriver):
        asked = 0

        def pull_image(self, name, **options):
            Counting.asked += 1
            return super().pull_image(name, **options)

        async def check_credentials(self, credentials):
            Counting.asked += 1
            await super().check_credentials(credentials)

    daemon = await serve(("local", Counting()))
    rpc = RPCS[name]
    request = {
        "PullImage": {"image": "down.example/x"},
        "LoginRegistry": {"registry": "down.example", "username": "u", "password": "p"},
    }[name]
    options = [("grpc.service_config", service_config(request_ids=False))]
    async with grpc.aio.insecure_channel(daemon.address, options=options) as channel:
        sent = rpc.request(**request)
        call = daemon.send(rpc, sent, token=daemon.token(*BOTH), channel=channel)
        refused = await refusal(call.read() if rpc.streams else call)
    assert (refused.code, refused.reason) == ("UNAVAILABLE", "REGISTRY_UNREACHABLE")
    assert Counting.asked == 1
