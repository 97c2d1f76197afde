"""Externally made resources of any size fit gRPC's default limits of every client."""

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from proad.model import ContainerSpec, SnapshotSpec
from rpc.daemon import IMAGE, changing
from rpc.watcher import Watcher

TOO_MUCH = {"team": "desks"} | {f"note{number}": "x" * 2**20 for number in range(9)}
MUCH = "x" * 2**20


@pytest.fixture
async def huge(daemon):
    """A container made externally on the engine's own socket."""
    spec = ContainerSpec(image=IMAGE, name="huge", labels=TOO_MUCH)
    made = (await daemon.driver.create_container(spec, start=True)).resource
    return (await daemon.call("GetResource", id=made.id)).resource


@pytest.mark.parametrize("view", ["RESOURCE_VIEW_SUMMARY", "RESOURCE_VIEW_FULL"])
async def test_list_with_a_huge_resource_shows_it_without_its_labels(daemon, huge, view):
    await daemon.container("web", labels={"a": "b"})

    listed = (await daemon.call("ListResources", view=view)).resources

    assert [(r.name, dict(r.labels), r.truncated) for r in listed] == [
        ("huge", {}, True),
        ("web", {"a": "b"}, False),
    ]
    assert listed[0].container.image == IMAGE
    assert await daemon.names(filter={"labels": {"team": "desks"}}) == ["huge"]


async def test_list_with_a_mask_of_what_was_left_out_says_so(daemon, huge):
    for paths in (["labels"], ["name"]):
        request = {"read_mask": FieldMask(paths=paths)}
        for found in (
            (await daemon.call("ListResources", **request)).resources[0],
            (await daemon.call("GetResource", id="huge", **request)).resource,
        ):
            assert found.truncated
            assert not found.labels


async def test_watch_of_a_huge_resource_tells_of_it_without_its_labels(daemon, huge):
    for request in ({}, {"read_mask": FieldMask(paths=["id", "labels"])}):
        watcher = await Watcher(daemon, **request).begin()
        assert watcher.there[huge.id].truncated
        await daemon.call("PauseResource", id="huge")
        await daemon.call("ResumeResource", id="huge")
        await watcher.until(lambda seen=watcher: len(seen.changes) > 2)
        assert watcher.there[huge.id].truncated
        watcher.call.cancel()


async def test_every_verb_of_a_huge_resource_answers(daemon, huge):
    for verb, fields in (
        ("GetResource", {}),
        ("PauseResource", {}),
        ("ResumeResource", {}),
        ("RestartResource", {}),
        ("StopResource", {"mode": "STOP_MODE_FORCE"}),
        ("StartResource", {}),
        ("UpdateResource", changing("container", resources={"pids_limit": 9})),
        ("DeleteResource", {"force": True}),
    ):
        assert (await daemon.call(verb, id="huge", **fields)).resource.truncated, verb


async def in_pages(daemon, method, field, **request):
    """Read a list page by page, as a client does that follows the token for as long as one comes.

    gRPC holds each page against the 4 MiB that clients take by default.
    """
    pages, token = [], ""
    while True:
        answer = await daemon.call(method, page_token=token, **request)
        pages.append(list(getattr(answer, field)))
        assert pages[-1]
        token = answer.next_page_token
        if not token:
            return pages


async def test_pages_of_large_resources_end_early_and_have_them_all(daemon, huge):
    for number in range(9):
        spec = ContainerSpec(image=IMAGE, name=f"c{number}", labels={"a": MUCH})
        made = await daemon.driver.create_container(spec)
        await daemon.call("GetResource", id=made.resource.id)  # the inventory knows it from then on
    names = sorted(["huge", *(f"c{number}" for number in range(9))])

    for request, most in (
        ({}, 6),
        ({"view": "RESOURCE_VIEW_FULL"}, 10),  # which has the labels once more, in the spec
        ({"read_mask": FieldMask(paths=["name", "labels"])}, 6),
        ({"order_by": "create_time desc, name"}, 6),
    ):
        pages = await in_pages(daemon, "ListResources", "resources", **request)
        assert sorted(r.name for page in pages for r in page) == names
        assert 4 <= len(pages) <= most


async def test_pages_of_large_snapshots_end_early_and_have_them_all(daemon):
    vm = await daemon.domain("vm", start=False)
    texts = [MUCH] * 7 + [MUCH * 4]
    for number, text in enumerate(texts):
        await daemon.driver.create_snapshot(
            vm.id, SnapshotSpec(name=f"s{number}", description=text)
        )

    pages = await in_pages(daemon, "ListSnapshots", "snapshots", id="vm")

    assert [s.name for page in pages for s in page] == [f"s{n}" for n in range(8)]
    assert [s.truncated for page in pages for s in page] == [False] * 7 + [True]
    assert len(pages) >= 3
    got = (await daemon.call("GetSnapshot", id="vm", name="s7")).snapshot
    assert (got.truncated, got.description) == (True, "")
