"""What follows from what a watch shows of the one resource that is waited for."""

import pytest

import proa
from proa import v1
from proa.waiting import Goal, WaitProgress

WEB = v1.Resource(
    id="1", name="web", kind=v1.RESOURCE_KIND_CONTAINER, state=v1.RESOURCE_STATE_RUNNING
)
LOST = proa.Gap(v1.GAP_KIND_ENGINE_LOST, v1.EngineRef(host="local", driver="docker"))
RESYNCED = proa.Gap(v1.GAP_KIND_ENGINE_RESYNCED, v1.EngineRef(host="local", driver="docker"))
RESTARTED = proa.Gap(v1.GAP_KIND_WATCH_RESTARTED)
SYNCED = proa.Synced()


def removed_after(*events):
    """Whether its removal is known after these."""
    progress = WaitProgress(Goal("web", (), removed=True, timeout=None), WEB)
    for event in events:
        assert not progress.done()
        progress.observe(event)
    return progress.done()


@pytest.mark.parametrize(
    "events",
    [
        (SYNCED,),
        (LOST, SYNCED, RESYNCED),
        (LOST, SYNCED, RESTARTED, SYNCED),
        (LOST, SYNCED, RESTARTED, LOST, SYNCED, RESYNCED),
    ],
    ids=len,
)
def test_observe_without_the_resource_in_the_initial_state_means_removed(events):
    assert removed_after(*events)


@pytest.mark.parametrize(
    "events", [(LOST, SYNCED), (LOST, SYNCED, RESTARTED, LOST, SYNCED)], ids=len
)
def test_observe_without_the_resource_of_a_lost_engine_means_unknown(events):
    assert not removed_after(*events)
