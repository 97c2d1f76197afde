"""Requests whose effects a test counts, holds up, and lets fail."""

import asyncio
from datetime import timedelta

from proad.core.requests import NewRequest, RequestAnswer, announce, cancellable
from proad.errors import ResourceNotRunningError, StopTimedOutError
from proad.model import Action, Intent
from proad.ports.requests import RequestKey

KEY = RequestKey("user", "11111111-1111-4111-8111-111111111111")
STOP = "/proa.v1.ResourceService/StopResource"
INTENT = Intent(action=Action.STOP, host="local", driver="x", id="1", path="local/container/1")
NOT_RUNNING = ResourceNotRunningError(
    id="1", name="web", state="STOPPED", verb="STOP", allowed_verbs=(), hint="start it"
)
TIMED_OUT = StopTimedOutError("web", timedelta(seconds=1))


class Codec:
    def failure(self, error):
        return f"failed: {error.reason}".encode()

    def response(self, method, about):
        return RequestAnswer(reply=b"judged", stored=b"judged", path="local/container/1")


class Effect:
    """What a request does: announces it, waits, has its effect, and ends as a test says."""

    def __init__(self, *, ends=b"done", announces=True, waits=False):
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()
        self.effects = self.calls = 0
        self.ends, self.announces, self.waits = ends, announces, waits
        if not waits:
            self.go_on.set()

    async def __call__(self, publish):
        self.calls += 1
        if self.announces:
            await announce(INTENT)
        self.begun.set()
        with cancellable():
            await self.go_on.wait()
        if isinstance(self.ends, Exception):
            raise self.ends
        self.effects += 1
        return RequestAnswer(reply=self.ends, stored=b"stored " + self.ends)


def request(key=KEY, *, digest=b"digest", method=STOP):
    return NewRequest(key=key, method=method, digests=[digest])
