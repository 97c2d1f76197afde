"""What a request that is only checked is told: the plan of an update or a recreation."""

import pytest

from proa import v1
from rpc.daemon import changing, refusal

LIVE, RESTART, RECREATE = (
    v1.CHANGE_EFFECT_LIVE,
    v1.CHANGE_EFFECT_RESTART,
    v1.CHANGE_EFFECT_RECREATE,
)


def effects(plan):
    return {change.field: change.effect for change in plan.changes}


@pytest.fixture
async def both(daemon):
    await daemon.container("web", env={"A": "1"})
    await daemon.domain("vm", vcpus=1)
    return daemon


async def test_plan_of_an_update_tells_the_effect_of_each_field(both):
    change = changing("container", name="new", labels={"a": "b"}, env={"A": "2"})

    answer = await both.call("UpdateResource", id="web", validate_only=True, **change)

    assert effects(answer.plan) == {"name": LIVE, "labels": LIVE, "env": RECREATE}
    assert list(answer.plan.may_fail) == [v1.ERROR_REASON_ALREADY_EXISTS]
    assert answer == v1.UpdateResourceResponse(plan=answer.plan)
    assert await both.names() == ["vm", "web"]


async def test_plan_of_a_running_domain_tells_what_waits_for_its_next_start(both):
    change = changing("domain", vcpus=2, title="T")

    plan = (await both.call("UpdateResource", id="vm", validate_only=True, **change)).plan
    updated = await both.call("UpdateResource", id="vm", **change)

    assert effects(plan) == {"vcpus": RESTART, "title": LIVE}
    assert list(updated.restart_required) == ["vcpus"]
    assert not updated.HasField("plan")


async def test_update_refuses_what_is_planned_as_recreate_and_records_nothing(both, new_id):
    change = changing("container", env={"A": "2"})

    refused = await refusal(both.call("UpdateResource", id="web", request_id=new_id, **change))

    assert refused.reason == "CAPABILITY_MISSING"
    assert "RecreateContainer" in refused.message
    unknown = await refusal(both.call("GetRequest", request_id=new_id))
    assert unknown.reason == "REQUEST_NOT_FOUND"


async def test_plan_of_an_update_that_fails_is_its_error(both):
    await both.container("other")
    change = changing("container", name="other")

    for validate_only in (True, False):
        call = both.call("UpdateResource", id="web", validate_only=validate_only, **change)
        assert (await refusal(call)).reason == "ALREADY_EXISTS"


async def test_plan_of_a_recreation_tells_the_fields_that_differ(both):
    spec = {"env": {"A": "2"}, "image": "proa-test/busybox:1"}
    mask = {"paths": ["env", "image"]}

    answer = await both.call(
        "RecreateContainer", id="web", spec=spec, update_mask=mask, validate_only=True
    )

    assert effects(answer.plan) == {"env": RECREATE}
    assert v1.ERROR_REASON_IMAGE_NOT_FOUND in answer.plan.may_fail
    assert answer == v1.RecreateContainerResponse(plan=answer.plan)
