"""Attribution on a real engine: which changes are a caller's, and which are external."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import docker
import pytest

from integration.core_harness import CoreHarness
from integration.docker.workloads import DEAF, OBEDIENT, Make
from proad.core.actor import act_for
from proad.drivers.docker import DockerDriver
from proad.errors import ProaError
from proad.model import (
    DeleteOptions,
    Lifetime,
    RestartMode,
    RestartOptions,
    StartOptions,
    StopMode,
    StopOptions,
    Subject,
)
from updating import container_update

pytestmark = pytest.mark.docker

SOON = timedelta(seconds=1)
WITHIN = 60.0


async def test_attribution_of_verbs_is_their_caller(driver: DockerDriver, make: Make, token: str):
    act_for(Subject("ann"))
    spec = replace(make.spec(*OBEDIENT), name="", networks=())
    async with asyncio.timeout(3 * WITHIN), CoreHarness.of(driver) as core:
        made = (await core.provisioning.create_container(spec, start=True, host="")).resource
        id, life = made.id, core.lifecycle
        await life.pause(id)
        await life.resume(id)
        for mode in RestartMode:
            await life.restart(id, RestartOptions(mode=mode, grace_period=SOON * 30))
        await life.update(id, container_update(name=f"{token}-renamed"))
        for stop in (StopMode.GRACEFUL_THEN_FORCE, StopMode.FORCE):
            await life.stop(id, StopOptions(mode=stop, grace_period=SOON))
            await life.start(id, StartOptions())
        await life.delete(id, DeleteOptions(force=True))
        passing = replace(spec, lifetime=Lifetime.TRANSIENT)
        brief = (await core.provisioning.create_container(passing, start=True, host="")).resource
        await life.stop(brief.id, StopOptions(mode=StopMode.FORCE))
        for each in (id, brief.id):
            await core.wait_for(each, "gone")
            assert core.changes_by_others(each) == []
    became = [what for what, *_ in core.changes_of(id)]
    assert {"STOPPED", "RUNNING", "PAUSED", f"{token}-renamed", "gone"} <= set(became)


async def test_attribution_of_natural_exit_is_external(
    driver: DockerDriver, make: Make, raw: docker.APIClient
):
    act_for(Subject("ann"))
    made = await make("sh", "-c", "until [ -e /go ]; do sleep 0.02; done", start=False)
    async with asyncio.timeout(WITHIN), CoreHarness.of(driver) as core:
        await core.lifecycle.start(made.id, StartOptions())
        go = raw.exec_create(made.id, ["touch", "/go"])
        await asyncio.to_thread(raw.exec_start, go["Id"])
        while core.changes_of(made.id)[-1][0] != "STOPPED" or len(core.changes_of(made.id)) == 1:
            await core.inventory.history.beyond(core.inventory.history.revision)
        assert core.changes_of(made.id)[1:] == [
            ("RUNNING", "API", "ann"),
            ("STOPPED", "EXTERNAL", ""),
        ]


async def test_attribution_during_graceful_stop_is_its_caller(
    driver: DockerDriver, make: Make, raw: docker.APIClient, token: str
):
    act_for(Subject("ann"))
    made = await make(*DEAF)
    async with asyncio.timeout(WITHIN), CoreHarness.of(driver) as core:
        polite = StopOptions(mode=StopMode.GRACEFUL, grace_period=timedelta(seconds=WITHIN))
        stopping = asyncio.create_task(core.lifecycle.stop(made.id, polite))
        await core.wait_for_step(made.id, "sent")
        await asyncio.to_thread(raw.rename, made.id, f"{token}-renamed")
        await core.wait_for(made.id, f"{token}-renamed")
        await asyncio.to_thread(raw.pause, made.id)
        await core.wait_for(made.id, "PAUSED")
        await asyncio.to_thread(raw.remove_container, made.id, force=True)
        await core.wait_for(made.id, "gone")
        with suppress(ProaError):
            await stopping
        during = core.changes_of(made.id)[1:]
    assert {f"{token}-renamed", "PAUSED", "gone"} <= {what for what, *_ in during}
    # The stop may meet the removal before an event reports it. A driver that finds no resource
    # did nothing, so the removal is external then.
    before = [change for change in during if change[0] != "gone"]
    assert {(cause, actor) for _what, cause, actor in before} == {("API", "ann")}
