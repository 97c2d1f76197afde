"""The collector: survivors are traversed once."""

import gc
import sys
import time

import pytest

from proad.collector import Collector


@pytest.fixture
def tamed():
    """Tune the collector of this process, and restore it afterwards."""
    thresholds, callbacks = gc.get_threshold(), list(gc.callbacks)
    Collector(freeze_after=0.0005).tame()
    yield
    gc.callbacks[:] = callbacks
    gc.set_threshold(*thresholds)
    gc.unfreeze()


def seconds_of_a_full_collection():
    began = time.thread_time()
    gc.collect()
    return time.thread_time() - began


def test_long_full_collection_freezes_the_survivors(tamed):
    kept = [[number] for number in range(200_000)]
    gc.collect()

    again = min(seconds_of_a_full_collection() for _ in range(3))
    gc.unfreeze()
    whole = seconds_of_a_full_collection()

    assert again < whole / 3
    assert len(kept) == 200_000


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="3.14 collects in slices of its own")
def test_growth_by_many_small_objects_is_collected_in_short_pauses(tamed):
    longest, began = 0.0, 0.0

    def measure(phase, _info):
        nonlocal longest, began
        if phase == "start":
            began = time.thread_time()
        else:
            longest = max(longest, time.thread_time() - began)

    gc.callbacks.append(measure)
    kept = [{"number": [number]} for number in range(500_000)]
    in_pieces = longest
    gc.unfreeze()
    all_at_once = seconds_of_a_full_collection()

    assert len(kept) == 500_000
    assert in_pieces < all_at_once / 3
