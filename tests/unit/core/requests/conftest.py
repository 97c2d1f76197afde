"""A journal over records in memory."""

import pytest

from proad.core.requests import JournalTiming, RequestJournal
from proad.core.shielded_tasks import ShieldedTasks
from unit.core.requests.effects import Codec
from unit.core.requests.memory_records import MemoryRecords, ScriptedJudge


@pytest.fixture
def records():
    return MemoryRecords()


@pytest.fixture
def tasks():
    return ShieldedTasks()


@pytest.fixture
def judge():
    return ScriptedJudge()


@pytest.fixture
def make(records, tasks, judge):
    """Makes the journal of a daemon; another one is that after a restart."""

    def make(**others):
        timing = JournalTiming(first_retry=0.001, longest_retry=0.01, expiry_interval=0.001)
        return RequestJournal(records, tasks, Codec(), judge, timing=timing, **others)

    return make


@pytest.fixture
async def journal(make):
    journal = make()
    async with journal.opened():
        yield journal
