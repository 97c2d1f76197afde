"""Deletion protection: what refuses to delete, and what does not."""

import pytest

from proa import v1
from proad.drivers.memory import MemoryDriver
from rpc.daemon import IMAGE, changing, refusal
from rpc.watcher import Watcher

XML = "<domain type='test'><name>vm</name><memory>65536</memory><os><type>hvm</type></os></domain>"


@pytest.fixture(params=["container", "domain"])
async def protected(request, daemon):
    """A protected resource of each kind, that runs."""
    make = getattr(daemon, request.param)
    return await make("web", deletion_protection=True)


@pytest.mark.parametrize(
    "options", [{}, {"allow_missing": True}, {"keep_volumes": True}, {"validate_only": True}]
)
@pytest.mark.parametrize("named", ["id", "name", "prefix", "kind"])
async def test_delete_of_what_is_protected_is_refused(daemon, protected, options, named):
    kind = v1.ResourceKind.Name(protected.kind).removeprefix("RESOURCE_KIND_").lower()
    ids = {
        "id": protected.id,
        "name": "web",
        "prefix": protected.id[:10],
        "kind": f"{kind}/web",
    }
    refused = await refusal(daemon.call("DeleteResource", id=ids[named], force=True, **options))
    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "DELETION_PROTECTED")
    assert "UpdateResource" in refused.message
    assert await daemon.state(protected.id) == "RUNNING"


async def test_protection_shows_in_every_view(daemon, protected):
    assert protected.deletion_protection
    listed = (await daemon.call("ListResources")).resources
    assert [resource.deletion_protection for resource in listed] == [True]
    watcher = await Watcher(daemon).begin()
    assert watcher.there_by_name("web").deletion_protection
    watcher.call.cancel()


async def test_allowed_verbs_of_what_is_protected_have_no_delete(daemon, protected):
    stopped = (await daemon.call("StopResource", id=protected.id, mode="STOP_MODE_FORCE")).resource
    assert v1.VERB_START in stopped.allowed_verbs
    assert v1.VERB_DELETE not in stopped.allowed_verbs


async def test_verbs_that_delete_nothing_go_on(daemon, protected):
    for verb in ("PauseResource", "ResumeResource", "StopResource", "StartResource"):
        await daemon.call(verb, id=protected.id)
    assert await daemon.state(protected.id) == "RUNNING"


async def test_protection_of_a_domain_from_xml_refuses_its_delete(daemon):
    await daemon.call("CreateDomainFromXml", xml=XML, deletion_protection=True)
    refused = await refusal(daemon.call("DeleteResource", id="vm"))
    assert refused.reason == "DELETION_PROTECTED"


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("CreateContainer", {"spec": {"image": IMAGE, "lifetime": "LIFETIME_TRANSIENT"}}),
        (
            "CreateDomain",
            {"spec": {"name": "vm", "memory_bytes": 2**26, "lifetime": "LIFETIME_TRANSIENT"}},
        ),
        ("CreateDomainFromXml", {"xml": XML, "lifetime": "LIFETIME_TRANSIENT"}),
    ],
)
async def test_protection_of_a_transient_resource_is_refused(daemon, method, fields):
    if "spec" in fields:
        fields["spec"]["deletion_protection"] = True
    else:
        fields["deletion_protection"] = True
    refused = await refusal(daemon.call(method, **fields))
    assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "INVALID_ARGUMENT")
    assert "deletion_protection" in refused.message
    assert await daemon.names() == []


async def test_delete_outside_of_what_is_protected_ends_the_protection(daemon, protected):
    """Other tools are not bound; what comes after under the name is not protected."""
    watcher = await Watcher(daemon).begin()
    await daemon.driver.stop(protected.id)
    await daemon.driver.delete(protected.id)
    await watcher.until(lambda: not watcher.there)
    await daemon.container("web")
    await daemon.call("DeleteResource", id="web", force=True)
    watcher.call.cancel()


@pytest.mark.parametrize("options", [{}, {"ignore_unreadable": ["domain vm"]}])
async def test_delete_of_a_disk_of_what_is_protected_is_refused(daemon, options):
    disk = {"new_volume": {"capacity_bytes": 2**20, "volume_name": "disk"}}
    await daemon.domain("vm", start=False, disks=[disk], deletion_protection=True)
    call = daemon.call("DeleteVolume", pool="default", name="disk", **options)
    refused = await refusal(call)
    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "DELETION_PROTECTED")
    assert refused.metadata["volume"] == "disk"
    volumes = (await daemon.call("ListVolumes")).volumes
    assert [volume.name for volume in volumes] == ["disk"]


async def test_protection_holds_by_whatever_host_names_the_engine(serve):
    """Else the second name of an engine would be the way around protection."""
    driver = MemoryDriver()
    daemon = await serve(("a", driver), ("b", driver))
    made = await daemon.container("web", start=False, host="a", deletion_protection=True)
    other = await daemon.container("db", start=False, host="a")
    by_b = {"id": f"b/container/{made.id}"}

    assert (await refusal(daemon.call("DeleteResource", **by_b))).reason == "DELETION_PROTECTED"
    shown = (await daemon.call("GetResource", **by_b)).resource
    assert (shown.deletion_protection, shown.owner) == (True, made.owner)

    # A change by one name holds by the other at once.
    for host, then in (("a", True), ("b", False)):
        id = f"{host}/container/{other.id}"
        change = changing("container", deletion_protection=then)
        await daemon.call("UpdateResource", id=id, **change)
        views = [
            (await daemon.call("GetResource", id=f"{each}/container/{other.id}")).resource
            for each in ("a", "b")
        ]
        assert [view.deletion_protection for view in views] == [then, then]
    await daemon.call("DeleteResource", id=f"b/container/{other.id}")
