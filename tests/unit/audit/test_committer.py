"""The thread that writes the log: who shares a sync, and what becomes of lines on a bad disk."""

import asyncio
import errno
import json
import os
import threading
import time
from contextlib import asynccontextmanager

import pytest

from eventually import eventually
from proad.audit import AuditOptions, AuditTiming
from proad.audit.calls import PendingLine
from proad.audit.committer import LogCommitter
from proad.errors import AuditUnavailableError
from unit.audit.logs import Log

TIMING = AuditTiming(sync_within=0.02, retry_interval=0.02)


class Disk:
    """Brings files to disk; a test holds it up or breaks it."""

    def __init__(self):
        self.free = threading.Event()
        self.free.set()
        self.asked = threading.Event()
        self.error = 0
        self.syncs = 0

    def __call__(self, descriptor):
        self.asked.set()
        assert self.free.wait(30)
        if self.error:
            raise OSError(self.error, os.strerror(self.error))
        self.syncs += 1
        os.fdatasync(descriptor)


class Committed:
    """A committer, and what it told."""

    def __init__(self, log, disk, options):
        self.log = log
        self.disk = disk
        self.written = []
        writer = log.writer(sync=disk)
        writer.load(None)
        self.committer = LogCommitter(writer, self._settled, options=options, timing=TIMING)

    def _settled(self, written, given_up, head):
        self.log.head = head
        self.written += [line.fields["number"] for line in written if line.fields]
        for line in written:
            line.settle(written=True)
        for line in given_up:
            line.settle(written=False)

    def submit(self, number, *, waits=True, pad="", **more):
        future = asyncio.get_running_loop().create_future() if waits else None
        fields = {"kind": "intent", "number": number, "pad": pad}
        line = PendingLine(fields, on_disk=future, **more)
        self.committer.submit(line)
        return line

    def numbers(self):
        found = [json.loads(line).get("number") for line in self.log.lines()]
        return [number for number in found if number is not None]


@asynccontextmanager
async def committing(tmp_path, disk, options=None):
    options = options or AuditOptions(reserved_bytes=0)
    committed = Committed(Log(tmp_path / "audit", options), disk, options)
    committed.committer.start()
    try:
        yield committed
    finally:
        disk.free.set()
        await committed.committer.close()


async def test_lines_that_wait_share_one_sync(tmp_path):
    disk = Disk()
    async with committing(tmp_path, disk) as committed:
        await committed.submit(0).wait()
        before = disk.syncs
        disk.asked.clear()
        disk.free.clear()
        first = committed.submit(1)
        await asyncio.to_thread(disk.asked.wait)
        lines = [committed.submit(number) for number in range(2, 1002)]
        disk.free.set()
        await asyncio.gather(*(line.wait() for line in [first, *lines]))

        assert disk.syncs - before == 2
        assert committed.numbers() == list(range(1002))
    assert committed.log.verify().damage is None


async def test_sync_each_syncs_every_line(tmp_path):
    disk = Disk()
    options = AuditOptions(sync_each=True, reserved_bytes=0)
    async with committing(tmp_path, disk, options) as committed:
        await committed.submit(0).wait()
        before = disk.syncs
        await asyncio.gather(*(committed.submit(number).wait() for number in range(50)))

        assert disk.syncs - before == 50


async def test_group_delay_lets_lines_share_a_sync(tmp_path):
    disk = Disk()
    options = AuditOptions(group_delay=0.1, reserved_bytes=0)
    async with committing(tmp_path, disk, options) as committed:
        await committed.submit(0).wait()
        before = disk.syncs
        lines = []
        for number in range(5):
            lines.append(committed.submit(number))
            await asyncio.sleep(0)
        await asyncio.gather(*(line.wait() for line in lines))

        assert disk.syncs - before == 1


async def test_line_that_nobody_waits_for_is_written_at_once_and_synced_soon(tmp_path):
    disk = Disk()
    async with committing(tmp_path, disk) as committed:
        await committed.submit(0).wait()
        disk.free.clear()
        committed.submit(1, waits=False)
        await eventually(lambda: committed.numbers() == [0, 1])
        assert committed.written == [0]
        disk.free.set()
        await eventually(lambda: committed.written == [0, 1])


async def test_disk_that_hangs_does_not_hold_the_loop(tmp_path):
    disk = Disk()
    async with committing(tmp_path, disk) as committed:
        await committed.submit(0).wait()
        disk.asked.clear()
        disk.free.clear()
        hung = committed.submit(1)
        await asyncio.to_thread(disk.asked.wait)
        used = time.thread_time()
        for number in range(2, 502):
            committed.submit(number)
            before = time.thread_time()
            await asyncio.sleep(0)
            assert time.thread_time() - before < 0.02
        assert time.thread_time() - used < 0.2
        assert not hung.on_disk.done()


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC, errno.EROFS])
async def test_disk_that_fails_gives_up_intents_and_keeps_outcomes(tmp_path, error):
    disk = Disk()
    async with committing(tmp_path, disk) as committed:
        intent = committed.submit(0)
        await intent.wait()
        disk.error = error
        refused = committed.submit(1)
        with pytest.raises(AuditUnavailableError):
            await refused.wait()
        committed.submit(2, waits=False, of=intent)
        committed.submit(3, waits=False, of=refused)
        disk.error = 0

        await eventually(lambda: committed.written == [0, 2])
        assert committed.numbers() == [0, 2]
    assert committed.log.verify().damage is None


async def test_close_writes_what_waits(tmp_path):
    disk = Disk()
    async with committing(tmp_path, disk) as committed:
        for number in range(20):
            committed.submit(number, waits=False)

    assert committed.numbers() == list(range(20))
    assert committed.log.verify().damage is None
