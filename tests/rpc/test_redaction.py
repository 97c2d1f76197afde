"""What a caller with the scope `basic` alone does not read, by every way to read it."""

import asyncio
from typing import Any

import pytest

from proad.model.scope import Scope
from rpc.daemon import BOTH, RPCS, refusal

CANARY = "canary-0815"
SOURCE = "/usr/share"  # which every host has, and nothing else here names
SPEC = {
    "env": {"LEVEL": CANARY},
    "command": ["serve", f"--password={CANARY}"],
    "health_check": {"shell_command": f"probe --token {CANARY}"},
    "log_options": {"tag": CANARY},
    "mounts": [{"target": "/data", "bind": {"source": SOURCE}}],
}
WHOLE_FIELDS = {"paths": ["name", "container", "state_detail"]}
READS: dict[str, list[dict[str, Any]]] = {
    "GetResource": [{"id": "web"}, {"id": "web", "view": "RESOURCE_VIEW_SUMMARY"}],
    "ListResources": [{"view": "RESOURCE_VIEW_FULL"}, {"view": "RESOURCE_VIEW_SUMMARY"}],
    "WaitResource": [{"id": "web", "condition": {"ready": {}}}],
}


def leaks(told):
    """Return the secrets and paths of the host in what was told."""
    return {each for each in (CANARY, SOURCE) if each in str(told)}


@pytest.fixture
async def web(daemon):
    await daemon.container("web", **SPEC)
    return daemon


def ask(daemon, name, scopes, **request) -> Any:
    rpc = RPCS[name]
    return daemon.send(rpc, rpc.request(**request), token=daemon.token(*scopes))


async def watched(daemon, scopes, verb, **request):
    """Return what a watch tells of "web" at first, and of a verb on it."""
    events = []
    async with asyncio.timeout(20):
        call = ask(daemon, "WatchResources", scopes, **request)
        async for response in call:
            events += [e.change for e in response.events if e.HasField("change")]
            if any(event.bookmark.synced for event in response.events):
                await daemon.call(verb, id="web")
            if len(events) > 1:
                call.cancel()
                return events
    raise AssertionError("the watch ended")


@pytest.mark.parametrize(("name", "request_"), [(n, r) for n, rs in READS.items() for r in rs])
async def test_read_of_a_basic_caller_has_no_secrets(web, name, request_):
    full = await ask(web, name, BOTH, **request_)
    basic = await ask(web, name, (Scope.BASIC,), **request_)

    assert leaks(full)
    assert not leaks(basic)
    assert leaks(await ask(web, name, BOTH, **request_))


@pytest.mark.parametrize("name", ["GetResource", "ListResources"])
async def test_masked_read_of_a_basic_caller_has_no_secrets(web, name):
    request = {"read_mask": WHOLE_FIELDS, "view": "RESOURCE_VIEW_FULL"}
    request |= {"id": "web"} if name == "GetResource" else {}

    assert leaks(await ask(web, name, BOTH, **request))
    assert not leaks(await ask(web, name, (Scope.BASIC,), **request))


async def test_redacted_resource_says_so_and_keeps_keys(web):
    resource = (await ask(web, "GetResource", (Scope.BASIC,), id="web")).resource

    assert resource.redacted
    assert resource.container.env["LEVEL"] == resource.container.spec.env["LEVEL"] == ""
    assert resource.container.mounts[0].target == "/data"
    assert not (await ask(web, "GetResource", BOTH, id="web")).resource.redacted


@pytest.mark.parametrize("mask", [{}, WHOLE_FIELDS], ids=["whole", "masked"])
async def test_watch_of_a_basic_caller_has_no_secrets(web, mask):
    request = {"read_mask": mask} if mask else {}
    full = await watched(web, BOTH, "PauseResource", **request)
    basic = await watched(web, (Scope.BASIC,), "ResumeResource", **request)

    assert leaks(full)
    assert {change.resource.name for change in basic} == {"web"}
    assert not leaks(basic)


async def test_failure_told_to_a_basic_caller_has_no_words(daemon, new_id):
    failed = await refusal(daemon.call("DeleteImage", image="busy/such:1", request_id=new_id))
    assert failed.reason == "IMAGE_NOT_FOUND"
    full = (await ask(daemon, "GetRequest", BOTH, request_id=new_id)).request
    basic = (await ask(daemon, "GetRequest", (Scope.BASIC,), request_id=new_id)).request

    assert full.failure.message
    assert (basic.failure.reason, basic.failure.message) == (full.failure.reason, "")
