"""A verb by force that is only checked, or refused, ends nobody's graceful verb."""

import asyncio
from contextlib import suppress

import grpc
import pytest

from rpc.daemon import refusal

DEAF = {"proa.memory/ignores-stop": "true"}
LONG = {"seconds": 60}


@pytest.fixture
async def stopping(daemon):
    """A protected container whose graceful restart is under way."""
    await daemon.container("web", labels=DEAF)
    update = {"container": {"deletion_protection": True}}
    mask = {"paths": ["deletion_protection"]}
    await daemon.call("UpdateResource", id="web", update_mask=mask, **update)
    call = daemon.call("RestartResource", id="web", grace_period=LONG, timeout=60)
    task = asyncio.ensure_future(call)
    await daemon.under_way("web")
    yield daemon, task
    await daemon.call("StopResource", id="web", mode="STOP_MODE_FORCE")
    with suppress(grpc.aio.AioRpcError):
        await task


async def still_under_way(daemon, task):
    activity = (await daemon.call("GetResource", id="web")).resource.activity
    return not task.done() and activity.step != ""


@pytest.mark.parametrize(
    ("name", "request_"),
    [
        ("StopResource", {"mode": "STOP_MODE_FORCE"}),
        ("RestartResource", {"mode": "RESTART_MODE_FORCE"}),
    ],
)
async def test_force_only_validated_leaves_the_graceful_verb(stopping, name, request_):
    daemon, task = stopping
    await daemon.call(name, id="web", validate_only=True, **request_)
    assert await still_under_way(daemon, task)


@pytest.mark.parametrize("validate_only", [False, True])
@pytest.mark.parametrize(
    ("etag", "reason"), [("", "DELETION_PROTECTED"), ("other", "ETAG_MISMATCH")]
)
async def test_forced_delete_refused_leaves_the_graceful_verb(
    stopping, etag, reason, validate_only
):
    daemon, task = stopping
    call = daemon.call(
        "DeleteResource", id="web", force=True, etag=etag, validate_only=validate_only
    )
    assert (await refusal(call)).reason == reason
    assert await still_under_way(daemon, task)
