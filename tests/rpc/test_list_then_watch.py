"""The epoch, revision and resume token of a list, over the wire."""

import pytest

from proa import v1
from rpc.daemon import RPCS, refusal
from rpc.watcher import Watcher


async def pages(daemon, **request):
    """Return all pages of a list."""
    found: list[v1.ListResourcesResponse] = []
    token = ""
    while not found or token:
        found.append(await daemon.call("ListResources", page_token=token, **request))
        token = found[-1].next_page_token
    return found


async def test_list_pages_have_the_point_of_the_first(daemon):
    for name in ("ca", "cb", "cc"):
        await daemon.container(name)

    first = await daemon.call("ListResources", page_size=1)
    await daemon.call("PauseResource", id="cb")
    second = await daemon.call("ListResources", page_size=1, page_token=first.next_page_token)

    assert first.epoch == first.resources[0].epoch != ""
    assert first.revision >= max(r.revision for r in first.resources)
    assert second.resources[0].revision > first.revision
    for field in ("epoch", "revision", "resume_token"):
        assert getattr(second, field) == getattr(first, field) != ""


@pytest.mark.parametrize("filter", [{}, {"states": ["RESOURCE_STATE_RUNNING"]}])
@pytest.mark.parametrize("view", ["RESOURCE_VIEW_SUMMARY", "RESOURCE_VIEW_FULL"])
async def test_watch_from_the_token_of_a_list_tells_what_came_after(daemon, filter, view):
    for name in ("ca", "cb", "cc"):
        await daemon.container(name)
    (page,) = await pages(daemon, filter=filter, view=view)
    await daemon.call("PauseResource", id="ca")
    await daemon.call("DeleteResource", id="cb", force=True)
    await daemon.container("cd")

    watcher = Watcher(daemon, filter=filter, resume_token=page.resume_token)
    watcher.there = {resource.id: resource for resource in page.resources}
    await watcher.until(lambda: ("ADDED", "cd") in watcher.changes_by_name)
    await watcher.until(lambda: watcher.state_of("cd") == "RUNNING")
    watcher.call.cancel()

    assert not watcher.synced
    listed = (await daemon.call("ListResources", filter=filter)).resources
    assert {r.path: r.revision for r in watcher.there.values()} == {
        r.path: r.revision for r in listed
    }


async def test_watch_with_the_token_of_another_list_is_refused(daemon):
    token = (await daemon.call("ListResources")).resume_token

    for request in (
        {"filter": {"states": ["RESOURCE_STATE_RUNNING"]}},
        {"resume_token": f"x{token}"},
    ):
        watcher = Watcher(daemon, **{"resume_token": token, **request})
        assert (await watcher.end()).fields == ["resume_token"]


async def test_watch_after_compaction_of_the_history_is_compacted(serve):
    daemon = await serve(parts={"history_size": 4})
    page = await daemon.call("ListResources")
    for name in ("ca", "cb", "cc", "cd", "ce"):
        await daemon.container(name)

    refused = await Watcher(daemon, resume_token=page.resume_token).end()

    assert (refused.code, refused.reason) == ("OUT_OF_RANGE", "REVISION_COMPACTED")


async def test_page_token_without_a_point_is_refused(daemon):
    refused = await refusal(
        daemon.send(
            RPCS["ListResources"],
            v1.ListResourcesRequest(page_token="bm8="),
            token=daemon.token("basic"),
        )
    )

    assert refused.reason == "PAGE_TOKEN_INVALID"
