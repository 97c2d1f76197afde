"""RecreateContainer: a container is made again in its own place."""

from proa import v1
from rpc.daemon import IMAGE, changing, refusal


async def test_recreate_takes_the_place_and_keeps_labels(daemon):
    made = await daemon.container("web", env={"A": "1", "B": "2"})
    await daemon.call("UpdateResource", id="web", **changing("container", labels={"over": "laid"}))

    answer = await daemon.call(
        "RecreateContainer", id="web", spec={"env": {"A": "new"}}, update_mask={"paths": ["env"]}
    )

    again = answer.resource
    assert (again.name, again.state) == ("web", v1.RESOURCE_STATE_RUNNING)
    assert again.id != made.id
    assert dict(again.labels) == {"over": "laid"}
    full = (await daemon.call("GetResource", id="web")).resource
    assert (full.id, full.owner) == (again.id, made.owner)
    assert dict(full.container.spec.env) == {"A": "new"}
    assert full.container.spec.image == IMAGE
    assert await daemon.names() == ["web"]


async def test_recreate_with_labels_in_the_mask_has_these_alone(daemon):
    await daemon.container("web")
    await daemon.call("UpdateResource", id="web", **changing("container", labels={"over": "laid"}))

    answer = await daemon.call(
        "RecreateContainer",
        id="web",
        spec={"labels": {"a": "b"}},
        update_mask={"paths": ["labels"]},
    )

    assert dict(answer.resource.labels) == {"a": "b"}


async def test_recreate_of_a_protected_container_is_refused(daemon):
    made = await daemon.container("web", deletion_protection=True)

    refused = await refusal(daemon.call("RecreateContainer", id="web"))

    assert refused.reason == "DELETION_PROTECTED"
    assert (await daemon.call("GetResource", id="web")).resource.id == made.id


async def test_recreate_with_changes_that_contradict_each_other_is_refused(daemon):
    await daemon.container(
        "web", start=False, restart_policy={"mode": v1.RESTART_POLICY_MODE_ALWAYS}
    )
    spec = {"lifetime": v1.LIFETIME_TRANSIENT}

    refused = await refusal(
        daemon.call("RecreateContainer", id="web", spec=spec, update_mask={"paths": ["lifetime"]})
    )

    assert refused.reason == "INVALID_ARGUMENT"
    assert "restart policy" in refused.message


async def test_recreate_of_a_domain_is_refused(daemon):
    await daemon.domain("vm")

    refused = await refusal(daemon.call("RecreateContainer", id="vm"))

    assert refused.reason == "CAPABILITY_MISSING"


async def test_recreate_without_a_request_id_gets_one(daemon):
    await daemon.container("web")

    await daemon.call("RecreateContainer", id="web")

    (request,) = (await daemon.call("ListRequests")).requests
    assert request.method_name.endswith("/RecreateContainer")
    assert request.state == v1.REQUEST_STATE_SUCCEEDED
    assert request.request_id


async def test_recreate_that_is_only_checked_leaves_no_request(daemon):
    await daemon.container("web")

    await daemon.call("RecreateContainer", id="web", validate_only=True)

    assert list((await daemon.call("ListRequests")).requests) == []
