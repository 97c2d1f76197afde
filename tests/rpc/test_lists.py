"""Lists: filters, orders, views, masks and pages."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from eventually import eventually
from proa import v1
from proad.drivers.memory import MemoryDriver
from proad.model import SnapshotSpec
from rpc.daemon import IMAGE, MEMORY_BYTES, refusal
from updating import container_update


@pytest.fixture
async def fleet(serve):
    """On a: web RUNNING, web-db PAUSED, idle STOPPED; on b: domains vm RUNNING, web-vm SAVED."""
    daemon = await serve(("a", MemoryDriver()), ("b", MemoryDriver()))
    async for _ in daemon.call("PullImage", image="debian:12"):
        pass
    await daemon.container("web", labels={"tier": "front", "team": "x"})
    await daemon.container("web-db", labels={"tier": "back"})
    await daemon.container("idle", start=False, image="debian:12")
    await daemon.domain("vm", host="b", labels={"tier": "back", "team": "x"})
    await daemon.domain("web-vm", host="b")
    await daemon.call("PauseResource", id="web-db")
    await daemon.call("StopResource", id="web-vm", mode="STOP_MODE_SAVE")
    return daemon


FILTERS = [
    ({}, "idle vm web web-db web-vm"),
    ({"kinds": ["RESOURCE_KIND_CONTAINER"]}, "idle web web-db"),
    ({"kinds": ["RESOURCE_KIND_DOMAIN"]}, "vm web-vm"),
    ({"kinds": ["RESOURCE_KIND_DOMAIN", "RESOURCE_KIND_CONTAINER"]}, "idle vm web web-db web-vm"),
    ({"states": ["RESOURCE_STATE_RUNNING"]}, "vm web"),
    ({"states": ["RESOURCE_STATE_PAUSED", "RESOURCE_STATE_SAVED"]}, "web-db web-vm"),
    ({"states": ["RESOURCE_STATE_FAILED"]}, ""),
    ({"name_prefix": "web"}, "web web-db web-vm"),
    ({"name_prefix": "eb"}, ""),
    ({"labels": {"tier": "back"}}, "vm web-db"),
    ({"labels": {"tier": "back", "team": "x"}}, "vm"),
    ({"labels": {"tier": ""}}, ""),
    ({"image": "debian:12"}, "idle"),
    ({"image": "debian"}, ""),
    ({"hosts": ["b"]}, "vm web-vm"),
    ({"hosts": ["a", "b"]}, "idle vm web web-db web-vm"),
    ({"hosts": ["b"], "kinds": ["RESOURCE_KIND_CONTAINER"]}, ""),
    ({"name_prefix": "web", "states": ["RESOURCE_STATE_RUNNING"]}, "web"),
]


async def test_list_filter_returns_what_matches(fleet):
    for which, names in FILTERS:
        assert await fleet.names(filter=which) == names.split(), which


async def test_list_filter_by_other_state_matches(daemon):
    await daemon.container("web", labels={"proa.memory/starts-as": "OTHER"})
    await daemon.container("db")

    assert await daemon.names(filter={"states": ["RESOURCE_STATE_OTHER"]}) == ["web"]


async def test_list_filter_ids_in_any_spelling_match(fleet):
    listed = await fleet.call("ListResources")
    ids = {resource.name: resource.id for resource in listed.resources}
    for spell in (str, str.upper, lambda id: id.replace("-", ""), lambda id: UUID(id).hex.upper()):
        assert await fleet.names(filter={"ids": [spell(ids["vm"])]}) == ["vm"]
    assert await fleet.names(filter={"ids": [ids["web"].upper(), "none"]}) == ["web"]
    assert await fleet.names(filter={"ids": [ids["vm"][:8], "vm"]}) == []


async def test_list_filter_unknown_host_is_not_found(fleet):
    refused = await refusal(fleet.call("ListResources", filter={"hosts": ["a", "c"]}))

    assert (refused.reason, refused.metadata) == ("HOST_NOT_FOUND", {"host": "c"})


ORDERS = {
    "": "idle vm web web-db web-vm",
    "name": "idle vm web web-db web-vm",
    "name asc": "idle vm web web-db web-vm",
    " name  desc ": "web-vm web-db web vm idle",
    "create_time": "web web-db idle vm web-vm",
    "create_time desc": "web-vm vm idle web-db web",
    "kind,name desc": "web-db web idle web-vm vm",
    "kind desc, name": "vm web-vm idle web web-db",
    "host desc,create_time": "vm web-vm web web-db idle",
    "state,name": "web-db vm web web-vm idle",
    "state desc,name desc": "idle web-vm web vm web-db",
}


async def test_list_order_by_sorts(fleet):
    for order, names in ORDERS.items():
        assert await fleet.names(order_by=order) == names.split(), order


async def pages(daemon, call, field, size, **request):
    """The items of each page of a list."""
    token = ""
    while True:
        answer = await daemon.call(call, page_size=size, page_token=token, **request)
        yield [*getattr(answer, field)]
        if not (token := answer.next_page_token):
            return


async def test_list_pages_together_are_the_list(fleet):
    for order, names in ORDERS.items():
        for size in (1, 2, 3, 4, 5, 6):
            seen = [
                p async for p in pages(fleet, "ListResources", "resources", size, order_by=order)
            ]
            assert [r.name for page in seen for r in page] == names.split()
            assert [len(page) for page in seen[:-1]] == [size] * (len(seen) - 1)
            assert 0 < len(seen[-1]) <= size


async def test_list_equal_sort_keys_are_on_one_page_each(serve):
    """Two hosts have the same names, so that the name alone does not decide the order."""
    daemon = await serve(("a", MemoryDriver()), ("b", MemoryDriver()))
    ids = {(await daemon.container(name, host=host)).id for name in ("xx", "yy") for host in "ab"}

    for order in ("name", "name desc", "kind", "state desc"):
        seen = [p async for p in pages(daemon, "ListResources", "resources", 1, order_by=order)]
        assert sorted(r.id for page in seen for r in page) == sorted(ids)


async def test_page_token_after_names_of_any_length_is_accepted(daemon):
    """Docker lets a name have thousands of characters, and any field may be named again."""
    names = [letter * 5_000 for letter in "abc"]
    for name in names:
        made = await daemon.container(name[:60], start=False)
        await daemon.driver.update(made.id, container_update(name=name))  # as external tools would

    async def all_are_known():
        return await daemon.names() == names

    await eventually(all_are_known)
    for order in ("", "name desc", ",".join(["name"] * 51)):
        seen = [p async for p in pages(daemon, "ListResources", "resources", 1, order_by=order)]
        assert sorted(r.name for page in seen for r in page) == names


@pytest.mark.parametrize("order", ["name", "name desc"])
async def test_list_resources_that_come_and_go_shift_no_page(daemon, order):
    names = [f"c{n}" for n in range(8)]
    for name in names:
        await daemon.container(name, start=False)
    ordered = sorted(names, reverse=order.endswith("desc"))

    first = await daemon.call("ListResources", page_size=3, order_by=order)
    # Delete the listed items, with the last one of the page, and add one before it.
    for resource in first.resources[1:]:
        await daemon.call("DeleteResource", id=resource.id)
    await daemon.container("aa" if order == "name" else "zz", start=False)
    await daemon.call("DeleteResource", id=ordered[4])
    rest = await daemon.names(page_token=first.next_page_token, order_by=order)

    assert rest == [ordered[3], *ordered[5:]]


async def test_list_same_id_and_name_on_two_hosts_has_both(serve):
    """Such as a domain that is defined on two hosts for migration."""
    daemon = await serve(("a", MemoryDriver()), ("b", MemoryDriver()))
    spec = {"name": "vm", "memory_bytes": MEMORY_BYTES, "uuid": str(UUID(int=1))}
    for host in "ba":
        await daemon.call("CreateDomain", spec=spec, host=host)

    for order in ("", "host desc", "name desc, state"):
        seen = [p async for p in pages(daemon, "ListResources", "resources", 1, order_by=order)]
        assert sorted(r.engine.host for page in seen for r in page) == ["a", "b"]


async def test_page_token_of_another_request_is_refused(fleet):
    request = {"order_by": "name", "filter": {"name_prefix": ""}}
    token = (await fleet.call("ListResources", page_size=2, **request)).next_page_token

    for other in (
        {"order_by": "name desc"},
        {"filter": {"name_prefix": "w"}},
        {"view": "RESOURCE_VIEW_FULL"},
        {"read_mask": FieldMask(paths=["name"])},
        {"return_partial_success": True},
    ):
        refused = await refusal(
            fleet.call("ListResources", page_token=token, **{**request, **other})
        )
        assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID")
    assert await fleet.names(page_token=token, page_size=5, **request) == [
        "web",
        "web-db",
        "web-vm",
    ]
    refused = await refusal(fleet.call("ListVolumes", page_token=token))
    assert refused.reason == "PAGE_TOKEN_INVALID"


async def test_list_page_has_at_most_a_thousand(daemon):
    """Snapshots are the cheapest to make many of."""
    vm = await daemon.domain("vm", start=False)
    for number in range(1010):
        await daemon.driver.create_snapshot(vm.id, SnapshotSpec(name=f"s{number}"))

    seen = [p async for p in pages(daemon, "ListSnapshots", "snapshots", 5000, id="vm")]

    assert [len(page) for page in seen] == [1000, 10]
    times = [s.create_time.ToDatetime() for page in seen for s in page]
    assert times == sorted(times)


class OfOneSecond(MemoryDriver):
    """libvirt reports the create time of a snapshot in seconds."""

    async def list_snapshots(self, id):
        time = datetime(2026, 1, 1, tzinfo=UTC)
        return [replace(each, create_time=time) for each in await super().list_snapshots(id)]


async def test_list_snapshots_of_one_second_the_parent_comes_first(serve):
    daemon = await serve(("local", OfOneSecond()))
    await daemon.domain("vm", start=False)
    for name in ("c", "b", "a"):
        await daemon.call("CreateSnapshot", id="vm", name=name)

    for size in (1, 2, 3):
        seen = [p async for p in pages(daemon, "ListSnapshots", "snapshots", size, id="vm")]
        assert [s.name for page in seen for s in page] == ["c", "b", "a"]


async def test_list_images_is_newest_first_in_pages(daemon):
    for tag in ("a:1", "b:1", "a:2"):
        async for _ in daemon.call("PullImage", image=tag):
            pass

    seen = [p async for p in pages(daemon, "ListImages", "images", 1)]

    assert [list(page[0].tags) for page in seen] == [["a:2"], ["b:1"], ["a:1"], [IMAGE]]
    listed = await daemon.call("ListImages", reference="a:*")
    assert [image.tags[0] for image in listed.images] == ["a:2", "a:1"]
    assert not (await daemon.call("ListImages", dangling=True)).images
    assert {image.host for image in listed.images} == {"local"}


async def test_list_volumes_is_by_name_in_pages(daemon):
    for name in ("c", "a", "b"):
        await daemon.call("CreateVolume", spec={"name": name, "capacity_bytes": 2**20})

    seen = [p async for p in pages(daemon, "ListVolumes", "volumes", 2)]

    assert [[v.name for v in page] for page in seen] == [["a", "b"], ["c"]]
    assert (await refusal(daemon.call("ListVolumes", pool="x"))).reason == "VOLUME_NOT_FOUND"


async def test_list_without_view_returns_summaries(fleet):
    summary = (await fleet.call("ListResources", filter={"name_prefix": "vm"})).resources[0]
    full = (
        await fleet.call("ListResources", filter={"name_prefix": "vm"}, view="RESOURCE_VIEW_FULL")
    ).resources[0]

    assert (summary.domain.vcpus, len(summary.domain.disks)) == (1, 0)
    assert (full.domain.vcpus, len(full.domain.disks)) == (1, 1)
    assert full.allowed_verbs == summary.allowed_verbs
    assert full.engine.host == summary.engine.host == "b"


async def test_get_without_view_returns_the_full_view(fleet):
    full = (await fleet.call("GetResource", id="web")).resource
    summary = (await fleet.call("GetResource", id="web", view="RESOURCE_VIEW_SUMMARY")).resource

    assert full.container.env
    assert not summary.container.env
    assert summary.container.image == full.container.image == IMAGE
    assert summary.allowed_verbs == full.allowed_verbs


@pytest.mark.parametrize(
    ("paths", "wanted"),
    [
        (["name"], {"name": "web"}),
        (["name", "state"], {"name": "web", "state": v1.RESOURCE_STATE_RUNNING}),
        (["container.image"], {"container": v1.Container(image=IMAGE)}),
        (["labels"], {"labels": {"tier": "front", "team": "x"}}),
        (["domain"], {}),
        (["domain.vcpus", "domain.disks"], {}),
        (["state_detail.exit_code"], {"state_detail": v1.StateDetail()}),
        (["container", "container.image", "engine.host"], None),
    ],
    ids=str,
)
async def test_read_mask_leaves_only_the_named_fields(fleet, paths, wanted):
    mask = FieldMask(paths=paths)
    got = (await fleet.call("GetResource", id="web", read_mask=mask)).resource
    listed = (
        await fleet.call(
            "ListResources",
            filter={"name_prefix": "web", "states": ["RESOURCE_STATE_RUNNING"]},
            view="RESOURCE_VIEW_FULL",
            read_mask=mask,
        )
    ).resources[0]

    assert got == listed
    if wanted is None:
        assert got.container.env
        assert {field.name for field, _ in got.ListFields()} == {"container", "engine"}
    else:
        assert got == v1.Resource(**wanted)


@pytest.mark.parametrize("mask", [None, FieldMask(paths=["name", "labels"])])
@pytest.mark.parametrize("view", ["RESOURCE_VIEW_SUMMARY", "RESOURCE_VIEW_FULL"])
async def test_list_resources_large_ends_pages_below_grpcs_limit(serve, mask, view):
    daemon = await serve(("a", MemoryDriver()))
    labels = {f"big{n}": "x" * 4000 for n in range(50)}
    names = [f"c{n:02}" for n in range(45)]
    for name in names:
        await daemon.container(name, start=False, labels=labels)
    found, token, pages = [], "", 0
    while token or not pages:
        page = await daemon.call(
            "ListResources", read_mask=mask, view=view, order_by="name desc", page_token=token
        )
        found += [each.name for each in page.resources]
        token = page.next_page_token
        pages += 1
    assert found == names[::-1]
    # The specification has the labels once more.
    twice = view == "RESOURCE_VIEW_FULL" and mask is None
    assert pages == (7 if twice else 3)


async def test_list_snapshots_large_ends_pages_below_grpcs_limit(daemon):
    vm = await daemon.domain("vm", start=False)
    names = [f"s{number:03}" for number in range(300)]
    for name in names:
        await daemon.driver.create_snapshot(vm.id, SnapshotSpec(name=name, description="x" * 16384))

    seen = [p async for p in pages(daemon, "ListSnapshots", "snapshots", 1000, id="vm")]

    assert [s.name for page in seen for s in page] == names
    assert len(seen) == 2
