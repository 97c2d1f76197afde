"""Requests that are only checked: the errors of the real ones, and no effect."""

from typing import Any

import pytest

from proad.rpc.methods import methods
from rpc.daemon import IMAGE, RPCS, refusal

XML = "<domain type='test'><name>new</name><memory>65536</memory><os><type>hvm</type></os></domain>"
# An image whose registry wants a login.
DENIED = "reg.example/denied/x:1"
# A request of each method that would have an effect.
EFFECTIVE: dict[str, dict[str, Any]] = {
    "StartResource": {"id": "old"},
    "StopResource": {"id": "web"},
    "RestartResource": {"id": "web"},
    "PauseResource": {"id": "web"},
    "ResumeResource": {"id": "paused"},
    "DeleteResource": {"id": "old"},
    "UpdateResource": {
        "id": "old",
        "container": {"name": "renamed"},
        "update_mask": {"paths": ["name"]},
    },
    "CreateContainer": {"spec": {"image": IMAGE, "name": "new"}},
    "RecreateContainer": {"id": "web"},
    "PruneContainers": {},
    "CreateDomain": {"spec": {"name": "new", "memory_bytes": 2**26}},
    "CreateDomainFromXml": {"xml": XML},
    "CreateSnapshot": {"id": "vm", "name": "new"},
    "RevertSnapshot": {"id": "vm", "name": "first"},
    "DeleteSnapshot": {"id": "vm", "name": "first"},
    "CreateVolume": {"spec": {"name": "new", "capacity_bytes": 2**20}},
    "DeleteVolume": {"name": "root"},
    "PullImage": {"image": "debian:12"},
    "DeleteImage": {"image": "debian:11"},
    "LogoutRegistry": {"registry": "reg.example"},
    "RunCommand": {"id": "web", "command": {"argv": ["true"]}},
    "MakeDirectory": {"id": "vm", "path": "/new"},
    "RemoveFile": {"id": "vm", "path": "/etc"},
}
# A request of some methods that fails before any effect.
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "StartResource": ({"id": "web"}, "RESOURCE_ALREADY_RUNNING"),
    "DeleteResource": ({"id": "web"}, "RESOURCE_RUNNING"),
    "CreateContainer": ({"spec": {"image": IMAGE, "name": "web"}}, "ALREADY_EXISTS"),
    "CreateDomain": ({"spec": {"name": "vm", "memory_bytes": 2**26}}, "ALREADY_EXISTS"),
}


@pytest.fixture
async def populated(daemon):
    await daemon.container("web")
    await daemon.container("old", start=False)
    await daemon.container("paused")
    await daemon.call("PauseResource", id="paused")
    await daemon.domain("vm")
    await daemon.call("CreateSnapshot", id="vm", name="first")
    await daemon.call("CreateVolume", spec={"name": "root", "capacity_bytes": 2**20})
    async for _ in daemon.call("PullImage", image="debian:11"):
        pass
    login = {"registry": "reg.example", "username": "u", "password": "p"}
    await daemon.call("LoginRegistry", **login)
    return daemon


async def there(daemon):
    """Return all that the methods could change, without what changes by itself."""
    listed = await daemon.call("ListResources")
    return (
        [(each.id, each.name, each.state, each.etag) for each in listed.resources],
        (await daemon.call("ListImages")).images,
        (await daemon.call("ListSnapshots", id="vm")).snapshots,
        (await daemon.call("ListVolumes")).volumes,
        [each.name for each in (await daemon.call("ListFiles", id="vm", path="/")).files],
    )


async def answer(call, name):
    """Return the only response of a call."""
    if not RPCS[name].streams:
        return await call
    (response,) = [response async for response in call]
    return response


def test_requests_cover_every_journalled_method():
    journalled = {path.rpartition("/")[2] for path, m in methods().items() if m.journalled}

    assert set(EFFECTIVE) == journalled


@pytest.mark.parametrize("name", EFFECTIVE)
async def test_validate_only_changes_nothing_and_answers_nothing(populated, name):
    before = await there(populated)
    id = "6f1c2a5e-0d1f-4c0a-9f63-2f2b1c7e8a11"
    for extra in ({}, {"request_id": id}):
        call = populated.call(name, validate_only=True, **EFFECTIVE[name], **extra)
        answered = await answer(call, name)
        if "plan" in answered.DESCRIPTOR.fields_by_name:
            answered.ClearField("plan")
        assert answered == RPCS[name].response()

    assert await there(populated) == before
    assert not (await populated.call("ListRequests")).requests
    await populated.call("PullImage", image=DENIED).read()


@pytest.mark.parametrize("name", EFFECTIVE)
async def test_request_that_was_validated_has_its_effect(populated, name):
    """The requests above would have one."""
    before = await there(populated)
    call = populated.call(name, **EFFECTIVE[name])
    if name == "RunCommand":  # its effect is inside, and its answer
        assert (await call).HasField("exit")
        return
    if RPCS[name].streams:
        async for _ in call:
            pass
    else:
        await call

    if name == "LogoutRegistry":
        refused = await refusal(populated.call("PullImage", image=DENIED).read())
        assert refused.reason == "REGISTRY_DENIED"
    else:
        assert await there(populated) != before


@pytest.mark.parametrize("name", REFUSED)
async def test_validate_only_fails_as_the_request_would(populated, name):
    request, reason = REFUSED[name]

    assert (await refusal(populated.call(name, **request))).reason == reason
    assert (await refusal(populated.call(name, validate_only=True, **request))).reason == reason
