"""UpdateResource: an update without changes makes no reads."""

import pytest

from proa import v1
from proad.model.scope import Scope
from rpc.daemon import RPCS, changing, refusal

UPDATE = RPCS["UpdateResource"]


def update(daemon, *scopes, **fields):
    request = v1.UpdateResourceRequest(**fields)
    return daemon.send(UPDATE, request, token=daemon.token(*scopes))


@pytest.mark.parametrize("kind", ["container", "domain"])
async def test_update_with_an_empty_mask_is_refused(daemon, kind):
    made = await daemon.container("web", env={"KEY": "secret"})
    fields = {kind: {"name": "not named in the mask"}}

    refused = await refusal(update(daemon, Scope.ADVANCED, id="web", etag=made.etag, **fields))

    assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "INVALID_ARGUMENT")
    assert refused.fields == ["update_mask"]
    assert "nothing to update" in refused.message
    missing = await refusal(update(daemon, Scope.ADVANCED, id="nobody", **fields))
    assert (missing.code, missing.message) == (refused.code, refused.message)


async def test_update_without_values_is_refused(daemon):
    await daemon.container("web")

    refused = await refusal(
        update(daemon, Scope.ADVANCED, id="web", update_mask={"paths": ["name"]})
    )

    assert refused.reason == "INVALID_ARGUMENT"
    assert "set container or domain" in refused.message


async def test_update_of_what_cannot_change_names_the_way_out(daemon):
    await daemon.container("web")

    refused = await refusal(
        update(daemon, Scope.ADVANCED, id="web", **changing("container", image="other:1"))
    )

    assert refused.reason == "CAPABILITY_MISSING"
    assert "RecreateContainer" in refused.message


async def test_update_to_what_is_set_answers_in_full_only_to_who_may_read(daemon):
    await daemon.container("web", env={"KEY": "secret"})

    blind = await update(daemon, Scope.ADVANCED, id="web", **changing("container", name="web"))
    summary = await daemon.call("GetResource", id="web", view=v1.RESOURCE_VIEW_SUMMARY)
    seeing = await update(
        daemon, Scope.BASIC, Scope.ADVANCED, id="web", **changing("container", name="web")
    )

    assert blind.resource == summary.resource
    assert "secret" not in str(blind)
    assert seeing.resource.container.env["KEY"] == "secret"


async def test_update_of_labels_to_none_is_a_change(daemon):
    await daemon.domain("vm", labels={"a": "b"})

    changed = await update(daemon, Scope.ADVANCED, id="vm", **changing("domain", labels={}))

    assert dict(changed.resource.labels) == {}
