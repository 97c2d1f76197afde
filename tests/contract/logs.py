"""Obligations of `Logs`."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contract.containers import IMAGE
from contract.harness import FORCE, DriverHarness
from eventually import eventually
from proad.errors import CapabilityMissingError
from proad.model import (
    LONGEST_LINE,
    ContainerSpec,
    LogLine,
    LogOptions,
    LogOutput,
    Resource,
    ResourceState,
)
from proad.ports import Logs

SCRIPT = "echo one; echo two >&2; echo three; exit 3"


def logs_of(harness: DriverHarness) -> Logs:
    assert isinstance(harness.driver, Logs)
    return harness.driver


async def read(harness: DriverHarness, resource: Resource, **options: Any) -> list[LogLine]:
    lines: list[LogLine] = []
    async with logs_of(harness).read_log(resource.id, LogOptions(**options)) as batches:
        async for batch in batches:
            assert len(batch) <= 1000
            lines += batch
    return lines


def texts(lines: Sequence[LogLine], *, is_stderr: bool = False) -> list[bytes]:
    return [line.data for line in lines if line.is_stderr is is_stderr]


async def writing(harness: DriverHarness, script: str, **spec: Any) -> Resource:
    """Return a container that runs a script."""
    wanted = ContainerSpec(
        image=IMAGE, name=harness.new_name(), command=("sh", "-c", script), **spec
    )
    return (await harness.containers.create_container(wanted, start=True)).resource


async def ended(harness: DriverHarness, script: str = SCRIPT, **spec: Any) -> Resource:
    """Return a container that has run a script."""
    made = await writing(harness, script, **spec)

    async def stopped() -> bool:
        return (await harness.driver.get_resource(made.id)).state is ResourceState.STOPPED

    await eventually(stopped)
    return made


class ContainerLogsContract:
    async def test_log_of_what_has_ended_has_both_outputs_apart(self, harness: DriverHarness):
        box = await ended(harness)
        lines = await read(harness, box)

        assert texts(lines) == [b"one", b"three"]
        assert texts(lines, is_stderr=True) == [b"two"]
        assert {(line.time, line.partial) for line in lines} == {(None, False)}
        followed = await read(harness, box, follow=True)
        assert [line._replace(time=None) for line in followed] == lines

    async def test_log_is_narrowed_by_output_and_tail(self, harness: DriverHarness):
        box = await ended(harness)

        assert await read(harness, box, output=LogOutput.STDERR) == [LogLine(b"two", True)]
        out = await read(harness, box, output=LogOutput.STDOUT)
        assert texts(out) == [b"one", b"three"]
        assert len(await read(harness, box, tail=2)) == 2
        assert await read(harness, box, tail=0) == []
        assert len(await read(harness, box, tail=1000)) == 3

    async def test_log_is_narrowed_by_times(self, harness: DriverHarness):
        before = datetime.now(UTC) - timedelta(minutes=1)
        box = await ended(harness)
        lines = await read(harness, box, timestamps=True)
        times = [line.time or 0 for line in lines]

        assert sorted(texts(lines)) == [b"one", b"three"]
        assert all(before.timestamp() * 1e9 < each < 1e9 * 2**40 for each in times)
        last = datetime.fromtimestamp(max(times) // 10**3 / 10**6, UTC)
        later, earlier = last + timedelta(seconds=1), min(times) / 1e9 - 1
        assert await read(harness, box, since=later) == []
        assert await read(harness, box, until=datetime.fromtimestamp(earlier, UTC)) == []
        assert len(await read(harness, box, since=before, until=later)) == 3

    async def test_log_that_is_followed_ends_with_the_run(self, harness: DriverHarness):
        box = await writing(harness, "echo one; sleep 3600")
        async with logs_of(harness).read_log(box.id, LogOptions(follow=True)) as batches:
            assert texts(await _first(batches)) == [b"one"]
            await harness.driver.stop(box.id, FORCE)
            async with asyncio.timeout(30):
                assert [line async for lines in batches for line in lines] == []

    async def test_log_has_what_was_written_before_a_start(self, harness: DriverHarness):
        box = await ended(harness)
        await harness.driver.start(box.id)

        async def twice() -> bool:
            return len(await read(harness, box)) == 6

        await eventually(twice)

    async def test_line_that_is_too_long_comes_in_parts(self, harness: DriverHarness):
        box = await ended(harness, f"head -c {2 * LONGEST_LINE + 10} /dev/zero; echo end")
        *parts, last = await read(harness, box)

        assert [(len(part.data), part.partial) for part in parts] == [(LONGEST_LINE, True)] * 2
        assert last == LogLine(bytes(10) + b"end")

    async def test_log_of_what_never_ran_is_empty(self, harness: DriverHarness):
        box = await harness.make()
        assert await read(harness, box, follow=True) == []

    async def test_log_of_no_driver_is_a_missing_capability(self, harness: DriverHarness):
        box = await ended(harness, log_driver="none")
        with pytest.raises(CapabilityMissingError):
            await read(harness, box)

    async def test_log_of_a_terminal_has_plain_lines(self, harness: DriverHarness):
        box = await ended(harness, tty=True)
        lines = await read(harness, box)

        assert lines == [LogLine(b"one"), LogLine(b"two"), LogLine(b"three")]
        timed = await read(harness, box, timestamps=True)
        assert [replaced._replace(time=None) for replaced in timed] == lines
        assert all(line.time for line in timed)


async def _first(batches: AsyncIterator[Sequence[LogLine]]) -> Sequence[LogLine]:
    """Return the first lines that come."""
    async with asyncio.timeout(30):
        while not (lines := await anext(batches)):
            pass
    return lines
