"""Calls of a container that hangs in the engine."""

import asyncio
import tempfile
from pathlib import Path

from eventually import eventually
from proad.model import StopMode, StopOptions
from unit.docker.scripted import scripted

ID = "a" * 64


async def test_stop_by_force_does_not_wait_for_hung_calls():
    with tempfile.TemporaryDirectory() as folder:
        async with scripted(Path(folder), threads=1) as (engine, driver):
            engine.listed = [{"Id": ID, "State": "running"}]
            engine.hung.add(ID)
            inspect = f"GET /containers/{ID}/json"
            calls = [asyncio.create_task(driver.get_resource(ID)) for _ in range(3)]
            await eventually(lambda: engine.calls[inspect] == 2)  # the third waits for a slot

            calls.append(asyncio.create_task(driver.stop(ID, StopOptions(mode=StopMode.FORCE))))
            await eventually(lambda: engine.calls[f"POST /containers/{ID}/kill"])

            assert not any(call.done() for call in calls[:3])
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
