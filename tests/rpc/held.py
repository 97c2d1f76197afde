"""A driver whose pauses a test holds up, and what became of a request."""

import asyncio

from proad.drivers.memory import MemoryDriver


class Held(MemoryDriver):
    """Blocks pauses until released, and counts them."""

    def __init__(self):
        super().__init__()
        self.let_go, self.entered = asyncio.Event(), asyncio.Event()
        self.pauses = 0

    async def pause(self, id):
        self.pauses += 1
        self.entered.set()
        await self.let_go.wait()
        return await super().pause(id)


async def shown(daemon, id):
    return (await daemon.call("GetRequest", request_id=id)).request


async def known(daemon, id):
    listed = await daemon.call("ListRequests")
    return id in {each.request_id for each in listed.requests}
