"""The index of the audit log has every line in the end, whatever the database does meanwhile."""

import asyncio

import pytest

from proad.audit import AuditOptions, LogWriter
from proad.audit.calls import AuditCall, CallOutcome
from proad.audit.chain import content
from proad.audit.index import AuditIndexer
from proad.errors import DatabaseUnreachableError
from proad.model import AuditFilter, AuditOutcome
from proad.store.audit import AuditStore

DAEMON = "7d3f9a52-6a0b-4a51-8f3c-1f2f4c1f0c11"
CALL = AuditCall(method_name="/proa.v1.ResourceService/StopResource")


class FrailStore(AuditStore):
    """The index, whose saves fail before or after they are done."""

    error_before: Exception | None = None
    error_after: Exception | None = None

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.begun = asyncio.Event()

    async def save(self, *arguments, **options):
        self.begun.set()
        if self.error_before is not None:
            raise self.error_before
        await super().save(*arguments, **options)
        if self.error_after is not None:
            raise self.error_after


class Log:
    """A log, and its index."""

    def __init__(self, folder, store):
        self.store = store
        self.indexer = AuditIndexer(store, folder)
        options = AuditOptions(file_bytes=2**20, kept_files=1000, reserved_bytes=0)
        self.writer = LogWriter(folder, [b"k" * 32], DAEMON, options)
        self.writer.load(None)

    def write(self, *lines):
        """Write lines, and tell the index of them."""
        first = self.writer.next()
        self.writer.write([content(line) for line in lines])
        self.writer.sync()
        self.indexer.note(list(enumerate(lines, first)), self.writer.head)
        return first

    async def entries(self):
        return await self.store.page(AuditFilter(), most=100_000)


@pytest.fixture
def log(tmp_path, database):
    return Log(tmp_path / "audit", FrailStore(database, DAEMON))


@pytest.mark.parametrize("error", [DatabaseUnreachableError(), RuntimeError("any other")])
async def test_flush_that_fails_is_made_up_for(log, error):
    log.store.error_before = error
    log.write(CALL.fields("intent"))
    with pytest.raises(type(error)):
        await log.indexer.flush(1)

    log.store.error_before = None
    log.write(CALL.fields("intent"))
    await log.indexer.flush(1)

    assert len(await log.entries()) == 2


async def test_flush_whose_answer_was_lost_is_not_repeated(log):
    log.store.error_after = DatabaseUnreachableError()
    intent = log.write(CALL.fields("intent"))
    with pytest.raises(DatabaseUnreachableError):
        await log.indexer.flush(1)

    log.store.error_after = None
    log.write({"kind": "outcome", "intent": intent} | CallOutcome(code="OK").fields())
    await log.indexer.flush(1)

    (entry,) = await log.entries()
    assert entry.outcome is AuditOutcome.SUCCEEDED


async def test_flush_of_many_files_that_fails_at_the_first_is_made_up_for(log):
    log.store.error_before = DatabaseUnreachableError()
    for _ in range(22):
        log.write(*[CALL.fields("intent")] * 1000)
    for _ in range(3):
        with pytest.raises(DatabaseUnreachableError):
            await log.indexer.flush(1)

    log.store.error_before = None
    log.write(CALL.fields("intent"))
    await log.indexer.flush(1)

    assert len(await log.entries()) == 22_001


async def test_flush_whose_caller_leaves_goes_to_its_end(log):
    """Whether it was done would not be known, and to do it twice is an error."""
    for _ in range(10):
        log.write(CALL.fields("intent"))
        caller = asyncio.create_task(log.indexer.flush(1))
        await log.store.begun.wait()
        log.store.begun.clear()
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
    log.write(CALL.fields("intent"))
    await log.indexer.flush(1)

    assert len(await log.entries()) == 11
