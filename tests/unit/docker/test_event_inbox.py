"""Storms of events, on their way from a thread to the event loop."""

import asyncio
import itertools
import threading

from eventually import eventually
from proad.drivers.docker.event_inbox import EventInbox

STORM = 1000
BATCH = 10


async def test_put_of_a_storm_passes_on_a_limited_number_in_one_callback():
    received: list[int] = []
    inbox = EventInbox(asyncio.get_running_loop(), received.append, batch_size=BATCH)
    for number in range(STORM):
        inbox.put(number)

    seen = [0]
    while seen[-1] < STORM:
        await asyncio.sleep(0)
        seen.append(len(received))

    assert received == list(range(STORM))
    assert max(after - before for before, after in itertools.pairwise(seen)) == BATCH


async def test_put_while_others_are_passed_on_keeps_the_order():
    received: list[int] = []
    inbox = EventInbox(asyncio.get_running_loop(), received.append, batch_size=1)

    def storm() -> None:
        for number in range(STORM):
            inbox.put(number)

    thread = threading.Thread(target=storm)

    thread.start()
    await eventually(lambda: len(received) == STORM)
    thread.join()

    assert received == list(range(STORM))
