"""UpdateResource: an update without changes makes no reads."""

import pytest

from proa import v1
from proad.model.scope import Scope
from rpc.daemon import RPCS, refusal

UPDATE = RPCS["UpdateResource"]


def update(daemon, *scopes, **fields):
    request = v1.UpdateResourceRequest(**fields)
    return daemon.send(UPDATE, request, token=daemon.token(*scopes))


@pytest.mark.parametrize(
    "fields",
    [{}, {"container": {}}, {"domain": {}}],
    ids=["nothing", "an empty container", "an empty domain"],
)
async def test_update_of_nothing_is_refused(daemon, fields):
    made = await daemon.container("web", env={"KEY": "secret"})

    refused = await refusal(update(daemon, Scope.ADVANCED, id="web", etag=made.etag, **fields))

    assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "INVALID_ARGUMENT")
    assert "nothing to update" in refused.message
    missing = await refusal(update(daemon, Scope.ADVANCED, id="nobody", **fields))
    assert (missing.code, missing.message) == (refused.code, refused.message)


async def test_update_to_what_is_set_answers_in_full_only_to_who_may_read(daemon):
    await daemon.container("web", env={"KEY": "secret"})

    blind = await update(daemon, Scope.ADVANCED, id="web", name="web")
    summary = await daemon.call("GetResource", id="web", view=v1.RESOURCE_VIEW_SUMMARY)
    seeing = await update(daemon, Scope.BASIC, Scope.ADVANCED, id="web", name="web")

    assert blind.resource == summary.resource
    assert "secret" not in str(blind)
    assert seeing.resource.container.env["KEY"] == "secret"


async def test_update_of_labels_to_none_is_a_change(daemon):
    await daemon.domain("vm", labels={"a": "b"})

    changed = await update(daemon, Scope.ADVANCED, id="vm", labels={})

    assert dict(changed.resource.labels) == {}
