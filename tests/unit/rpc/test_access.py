import asyncio
from datetime import UTC, datetime

from structlog.testing import capture_logs

from proad.rpc.access import AccessLog
from unit.core.inventory.scripted import until


async def test_lines_come_by_themselves_and_tell_when_the_call_ended():
    access = AccessLog()
    with capture_logs() as lines:
        before = datetime.now(UTC)
        access.note(method="First")
        access.note(method="Second")
        after = datetime.now(UTC)
        assert lines == []
        await until(lambda: len(lines) == 2)

    assert [line["method"] for line in lines] == ["First", "Second"]
    assert all(before <= line["timestamp"] <= after for line in lines)


async def test_what_is_written_at_the_end_is_not_written_again():
    access = AccessLog()
    with capture_logs() as lines:
        access.note(method="Last")
        access.write()
        await asyncio.sleep(0.1)  # longer than a line waits

    assert [line["method"] for line in lines] == ["Last"]
