"""The last SUMMARY of each container: when it may serve as an answer, and when not."""

from collections.abc import Iterator

import pytest

from proad.drivers.docker.summary_cache import SummaryCache
from proad.model import Resource, ResourceKind, ResourceState, StateDetail, StateReason

RUNNING, PAUSED, STOPPED = ResourceState.RUNNING, ResourceState.PAUSED, ResourceState.STOPPED


def summary(state: ResourceState = RUNNING, name: str = "web") -> Resource:
    return Resource(id="1", kind=ResourceKind.CONTAINER, name=name, state=state)


@pytest.fixture
def cache() -> Iterator[SummaryCache]:
    cache = SummaryCache()
    with cache.subscribed():
        yield cache


def test_after_returns_the_last_summary_in_the_new_state(cache: SummaryCache):
    cache.put([summary()], cache.clock)
    paused = cache.after("1", PAUSED)
    assert paused is not None
    assert (paused.name, paused.state) == ("web", PAUSED)
    assert paused.state_detail == StateDetail(reason=StateReason.USER)
    running = cache.after("1", RUNNING)
    assert running == summary()


def test_after_an_event_returns_none(cache: SummaryCache):
    cache.put([summary()], cache.clock)
    cache.forget("1")
    assert cache.after("1", PAUSED) is None


def test_put_of_read_across_event_keeps_nothing(cache: SummaryCache):
    clock = cache.clock
    cache.forget("1")
    cache.put([summary(name="old")], clock)
    assert cache.after("1", PAUSED) is None


def test_after_of_a_stopped_container_returns_none(cache: SummaryCache):
    cache.put([summary(STOPPED)], cache.clock)
    assert cache.after("1", RUNNING) is None


def test_put_without_a_subscription_keeps_nothing():
    cache = SummaryCache()
    cache.put([summary()], cache.clock)
    assert cache.after("1", PAUSED) is None


def test_end_of_a_subscription_forgets_all():
    cache = SummaryCache()
    with cache.subscribed():
        clock = cache.clock
        cache.put([summary()], clock)
    with cache.subscribed():
        assert cache.after("1", PAUSED) is None
        cache.put([summary()], clock)  # was read while no subscription reported changes
        assert cache.after("1", PAUSED) is None


async def test_since_transition_ends_with_an_event_of_another_kind(cache: SummaryCache):
    assert cache.since_transition("1") > 3600
    cache.begin_transition("1")
    assert cache.since_transition("1") < 3600
    cache.forget("1")
    assert cache.since_transition("1") > 3600


async def test_transitions_are_forgotten_with_the_subscription():
    """Without a subscription, no event reports changes of a container, such as its end."""
    cache = SummaryCache()
    cache.begin_transition("1")
    with cache.subscribed():
        assert cache.since_transition("1") > 3600
        cache.begin_transition("1")
    assert cache.since_transition("1") > 3600
