"""Updates of what the daemon keeps: deletion protection of both kinds, labels of containers."""

import pytest

from proa import v1
from rpc.daemon import changing, refusal
from rpc.watcher import Watcher


@pytest.fixture(params=["container", "domain"])
def kind(request):
    return request.param


async def change(daemon, kind, id="web", **fields):
    """Update a resource, and return it as it is then."""
    return (await daemon.call("UpdateResource", id=id, **changing(kind, **fields))).resource


async def test_protect_and_unprotect_decide_about_the_delete(daemon, kind):
    made = await getattr(daemon, kind)("web")
    protected = await change(daemon, kind, deletion_protection=True)
    assert protected.deletion_protection
    assert protected.etag != made.etag
    refused = await refusal(daemon.call("DeleteResource", id="web", force=True))
    assert refused.reason == "DELETION_PROTECTED"

    if kind == "container":
        seen = (await daemon.call("GetResource", id="web")).resource
        assert seen.container.spec == protected.container.spec
        assert protected.container.spec.deletion_protection
    after = await change(daemon, kind, deletion_protection=False)
    assert not after.deletion_protection
    assert not after.container.spec.deletion_protection
    await daemon.call("DeleteResource", id="web", force=True)


async def test_protection_named_and_not_set_goes_off(daemon, kind):
    await getattr(daemon, kind)("web", deletion_protection=True)
    fields = {kind: {}, "update_mask": {"paths": ["deletion_protection"]}}
    answer = await daemon.call("UpdateResource", id="web", **fields)
    assert not answer.resource.deletion_protection


async def test_change_of_protection_is_told_by_watches(daemon, kind):
    await getattr(daemon, kind)("web")
    watcher = await Watcher(daemon).begin()
    await change(daemon, kind, deletion_protection=True)
    await watcher.until(lambda: watcher.there_by_name("web").deletion_protection)
    watcher.call.cancel()


async def test_protect_of_a_transient_resource_is_refused(daemon, kind):
    await getattr(daemon, kind)("web", lifetime="LIFETIME_TRANSIENT")
    fields = changing(kind, deletion_protection=True)
    refused = await refusal(daemon.call("UpdateResource", id="web", **fields))
    assert (refused.code, refused.fields) == ("INVALID_ARGUMENT", [f"{kind}.deletion_protection"])
    assert not (await change(daemon, kind, deletion_protection=False)).deletion_protection


async def test_update_for_the_other_kind_changes_nothing(daemon):
    await daemon.domain("web", labels={"a": "1"})
    fields = changing("container", labels={"a": "2"}, deletion_protection=True)
    refused = await refusal(daemon.call("UpdateResource", id="web", **fields))
    assert (refused.code, refused.fields) == ("INVALID_ARGUMENT", ["container"])
    resource = (await daemon.call("GetResource", id="web")).resource
    assert (dict(resource.labels), resource.deletion_protection) == ({"a": "1"}, False)


async def test_labels_of_a_container_are_replaced_as_a_whole(daemon):
    await daemon.container("web", labels={"a": "1", "b": "2"})
    changed = await change(daemon, "container", labels={"b": "3", "c": ""})
    assert dict(changed.labels) == {"b": "3", "c": ""}
    for view in (v1.RESOURCE_VIEW_SUMMARY, v1.RESOURCE_VIEW_FULL):
        resource = (await daemon.call("GetResource", id="web", view=view)).resource
        assert dict(resource.labels) == {"b": "3", "c": ""}
    assert dict(resource.container.spec.labels) == {"b": "3", "c": ""}
    assert dict((await change(daemon, "container", labels={})).labels) == {}


async def test_labels_of_a_container_decide_about_filters_and_watches(daemon):
    await daemon.container("web", labels={"pool": "free"})
    watcher = await Watcher(daemon, filter={"labels": {"pool": "ann"}}).begin()
    assert watcher.there == {}

    await change(daemon, "container", labels={"pool": "ann"})
    await watcher.until(lambda: watcher.there)
    assert await daemon.names(filter={"labels": {"pool": "ann"}}) == ["web"]
    assert await daemon.names(filter={"labels": {"pool": "free"}}) == []

    await change(daemon, "container", labels={"pool": "free"})
    await watcher.until(lambda: not watcher.there)
    assert await daemon.names(filter={"labels": {"pool": "free"}}) == ["web"]
    watcher.call.cancel()


async def test_watch_that_goes_on_after_a_change_of_labels_tells_of_it(daemon):
    await daemon.container("web", labels={"pool": "free"})
    which = {"labels": {"pool": "ann"}}
    watcher = await Watcher(daemon, filter=which).begin()
    watcher.call.cancel()
    await change(daemon, "container", labels={"pool": "ann"})
    after = Watcher(daemon, filter=which, resume_token=watcher.resume_token)
    await after.until(lambda: after.there)
    assert after.there_by_name("web").labels["pool"] == "ann"
    after.call.cancel()


async def test_etag_of_before_a_change_of_labels_is_refused(daemon):
    made = await daemon.container("web")
    await change(daemon, "container", labels={"a": "1"})
    fields = changing("container", labels={"a": "2"})
    refused = await refusal(daemon.call("UpdateResource", id="web", etag=made.etag, **fields))
    assert refused.reason == "ETAG_MISMATCH"


async def test_labels_of_a_container_go_with_the_container(daemon):
    await daemon.container("web", labels={"a": "1"})
    await change(daemon, "container", labels={"a": "2"})
    await daemon.call("DeleteResource", id="web", force=True)
    assert dict((await daemon.container("web", labels={"a": "1"})).labels) == {"a": "1"}


async def test_labels_with_a_reserved_key_are_refused(daemon):
    await daemon.container("web")
    fields = changing("container", labels={"proa.driver.creation": "x"})
    refused = await refusal(daemon.call("UpdateResource", id="web", **fields))
    assert (refused.code, refused.fields) == ("INVALID_ARGUMENT", ["container.labels"])
    spec = {"image": "proa-test/busybox:1", "labels": {"proa.driver.any": "x"}}
    refused = await refusal(daemon.call("CreateContainer", spec=spec))
    assert (refused.code, refused.fields) == ("INVALID_ARGUMENT", ["spec.labels"])


async def test_labels_of_the_greatest_length_are_kept(daemon):
    await daemon.container("web")
    labels = {"k" * 1024: "v" * 65536, "é" * 1024: ""}
    assert dict((await change(daemon, "container", labels=labels)).labels) == labels
    assert await daemon.names(filter={"labels": {"é" * 1024: ""}}) == ["web"]


async def test_labels_with_a_taken_name_stay_as_they_were(daemon):
    """What the driver refuses is not half done."""
    await daemon.container("web", labels={"a": "1"})
    await daemon.container("taken")
    fields = changing("container", labels={"a": "2"}, name="taken")
    refused = await refusal(daemon.call("UpdateResource", id="web", **fields))
    assert refused.reason == "ALREADY_EXISTS"
    resource = (await daemon.call("GetResource", id="web")).resource
    assert (resource.name, dict(resource.labels)) == ("web", {"a": "1"})


async def test_labels_and_limits_change_in_one_call(daemon):
    await daemon.container("web")
    changed = await change(
        daemon, "container", labels={"a": "2"}, name="new", resources={"memory_bytes": 2**26}
    )
    assert (changed.name, dict(changed.labels)) == ("new", {"a": "2"})
    assert changed.container.spec.resources.memory_bytes == 2**26
