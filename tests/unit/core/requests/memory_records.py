"""Records of requests in memory, of a database that can be lost, and a judge of requests."""

import asyncio
from dataclasses import replace

from proad.errors import DatabaseUnreachableError
from proad.model import RequestState

FAILED = {RequestState.FAILED}


class MemoryRecords:
    """Implements `ports.requests.RequestRecords`.

    Attributes:
        kept: the records by key.
        lost: whether the database does not answer.
        writes: how many writes were made.
    """

    def __init__(self):
        self.kept = {}
        self.lost = False
        self.writes = 0

    async def _reach(self):
        await asyncio.sleep(0)
        if self.lost:
            raise DatabaseUnreachableError

    async def ends(self):
        await self._reach()
        return {key: record.end_time for key, record in self.kept.items()}

    async def running(self):
        await self._reach()
        return [each for each in self.kept.values() if each.state is RequestState.RUNNING]

    async def failed_creates(self, since):
        await self._reach()
        return [
            (each.intent, each.end_time)
            for each in self.kept.values()
            if each.state is RequestState.FAILED and each.intent and each.intent.footprint
        ]

    async def get(self, key):
        await self._reach()
        return self.kept.get(key)

    async def page(self, user_id, *, sight="", states=(), before=None, most):
        await self._reach()
        found = [
            each
            for each in self.kept.values()
            if each.key.user_id == user_id
            and each.shows_in(sight)
            and (not states or each.state in states)
            and (before is None or (each.start_time, each.key.id) < before)
        ]
        found.sort(key=lambda each: (each.start_time, each.key.id), reverse=True)
        return [
            replace(each, intent=None, answer=each.answer if each.state in FAILED else b"")
            for each in found[:most]
        ]

    async def add(self, record):
        await self._reach()
        self.kept[record.key] = record
        self.writes += 1

    async def settle(self, record):
        await self._reach()
        assert record.key in self.kept
        self.kept[record.key] = record
        self.writes += 1

    async def remove(self, key):
        await self._reach()
        del self.kept[key]
        self.writes += 1

    async def expire(self, before, most):
        await self._reach()
        expired = [
            key
            for key, record in self.kept.items()
            if record.end_time is not None and record.end_time < before
        ][:most]
        for key in expired:
            del self.kept[key]
        return expired


class ScriptedJudge:
    """Judges as a test says."""

    def __init__(self):
        self.asked = 0
        self.judgement = None

    async def judge(self, record):
        self.asked += 1
        if isinstance(self.judgement, Exception):
            raise self.judgement
        return self.judgement
