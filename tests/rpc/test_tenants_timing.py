"""What is somebody else's and what nobody has are told apart by no clock."""

import random
from statistics import median
from time import perf_counter

import grpc
import pytest

from rpc.tenants import tenant

SAMPLES = 300
TRIES = 5


async def timed(user, ref):
    """Return the seconds that a call takes which fails."""
    begun = perf_counter()
    with pytest.raises(grpc.aio.AioRpcError):
        await user.call("GetResource", id=ref)
    return perf_counter() - begun


@pytest.mark.parametrize("write", ["id", "name", "prefix"])
async def test_hidden_and_missing_take_the_same_time(daemon, write):
    """Interleaved, so that what else the machine does hits both alike; the best of some tries."""
    alice, bella = await tenant(daemon, "alice"), await tenant(daemon, "bella")
    boxes = [await alice.container(f"zz{number:03}") for number in range(20)]
    missing = {
        "id": lambda box: box.id.translate(str.maketrans("0123456789abcdef", "123456789abcdef0")),
        "name": lambda box: box.name.replace("z", "y"),
        "prefix": lambda box: "".join(reversed(box.id[:12])),
    }[write]
    hidden = {
        "id": lambda box: box.id,
        "name": lambda box: box.name,
        "prefix": lambda box: box.id[:12],
    }[write]
    ratios = []
    for _ in range(TRIES):
        times: dict[bool, list[float]] = {True: [], False: []}
        for number in range(2 * SAMPLES):
            box = boxes[number // 2 % len(boxes)]
            which = bool(number % 2)
            times[which].append(await timed(bella, (hidden if which else missing)(box)))
            if number % 2 and random.random() < 0.5:
                boxes.reverse()
        ratios.append(median(times[True]) / median(times[False]))
        if 0.9 < ratios[-1] < 1.1:
            return
    raise AssertionError(f"the ratios of the medians were {ratios}")
