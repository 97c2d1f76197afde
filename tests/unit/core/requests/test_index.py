"""Which requests are remembered, and for how long."""

from datetime import UTC, datetime, timedelta

import pytest

from proad.core.requests.index import RETENTION, RequestIndex
from proad.errors import TooManyRequestsError
from proad.ports.requests import RequestKey

NOW = datetime(2026, 1, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


def key(id, user="user"):
    return RequestKey(user, id)


@pytest.fixture
def index():
    return RequestIndex(3)


def test_remembers_request_until_a_day_after_its_end(index):
    index.begin(key("1"), NOW)
    assert index.remembers(key("1"), NOW + 2 * RETENTION)

    index.end(key("1"), NOW)
    assert index.remembers(key("1"), NOW + RETENTION - HOUR)
    assert not index.remembers(key("1"), NOW + RETENTION)
    assert not index.remembers(key("1", "other"), NOW)
    assert not index.expired(NOW + RETENTION)
    assert index.expired(NOW + RETENTION + HOUR)


def test_forget_frees_the_id_and_the_user(index):
    index.begin(key("1"), NOW)
    index.forget(key("1"))
    index.forget(key("1"))

    assert not index.remembers(key("1"), NOW)
    assert len(index) == 0


def test_begin_too_many_says_when_the_oldest_is_forgotten(index):
    for id, end in (("1", NOW + HOUR), ("2", NOW), ("3", NOW + 2 * HOUR)):
        index.begin(key(id), NOW)
        index.end(key(id), end)
    with pytest.raises(TooManyRequestsError) as caught:
        index.begin(key("4"), NOW + HOUR)

    # The ends are in the order in which they came, as time goes.
    assert caught.value.retry_after == RETENTION
    index.begin(key("1"), NOW)  # one that has expired comes again
    index.begin(key("4", "other"), NOW)


def test_begin_too_many_that_run_may_be_tried_soon(index):
    for id in "123":
        index.begin(key(id), NOW)
    with pytest.raises(TooManyRequestsError) as caught:
        index.begin(key("4"), NOW)

    assert caught.value.retry_after is not None
    assert caught.value.retry_after > timedelta(0)


def test_load_orders_by_end():
    index = RequestIndex(3)
    index.load({key("2"): NOW + HOUR, key("1"): NOW, key("3"): None})
    with pytest.raises(TooManyRequestsError) as caught:
        index.begin(key("4"), NOW)

    assert caught.value.retry_after == RETENTION
    assert len(index) == 3


def test_begin_too_many_under_way_is_refused_until_one_has_ended():
    index = RequestIndex(100, most_running=2)
    index.load({key("1"): None, key("2"): NOW})
    index.begin(key("3"), NOW)
    with pytest.raises(TooManyRequestsError) as caught:
        index.begin(key("4"), NOW)
    assert caught.value.retry_after == timedelta(seconds=1)
    assert not index.remembers(key("4"), NOW)
    index.begin(key("4", "other"), NOW)

    index.end(key("3"), NOW)
    index.begin(key("4"), NOW)
    index.forget(key("4"))
    index.begin(key("5"), NOW)
    with pytest.raises(TooManyRequestsError):
        index.begin(key("6"), NOW)
