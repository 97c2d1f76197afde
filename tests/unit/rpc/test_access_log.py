import asyncio
from datetime import UTC, datetime

import structlog
from structlog.testing import capture_logs

from proad.auth.client_address import ClientAddressResolver
from proad.rpc.access_log import AccessLog
from unit.core.inventory.scripted import until


def note(access, *, method="M", code="OK", subject="ann", peer="ipv4:192.0.2.1:1", reason=None):
    access.note(method=method, code=code, subject=subject, peer=peer, reason=reason)


def refuse(access, peer, *, reason="TOKEN_MISSING"):
    note(access, code="UNAUTHENTICATED", subject=None, peer=peer, reason=reason)


async def test_lines_come_by_themselves_and_tell_when_the_call_ended():
    access = AccessLog(ClientAddressResolver().resolve)
    with capture_logs() as lines:
        before = datetime.now(UTC)
        note(access, method="First")
        note(access, method="Second")
        after = datetime.now(UTC)
        assert lines == []
        await until(lambda: len(lines) == 2)

    assert [line["method"] for line in lines] == ["First", "Second"]
    assert all(before <= line["timestamp"] <= after for line in lines)


async def test_what_is_written_at_the_end_is_not_written_again():
    access = AccessLog(ClientAddressResolver().resolve)
    with capture_logs() as lines:
        note(access, method="Last")
        access.write()
        await asyncio.sleep(0.1)  # longer than a line waits

    assert [line["method"] for line in lines] == ["Last"]


async def test_refused_calls_have_some_lines_and_a_count():
    access = AccessLog(ClientAddressResolver().resolve)
    with capture_logs() as lines:
        for port in range(1000):
            refuse(access, f"ipv4:192.0.2.1:{port}")
        refuse(access, "ipv4:192.0.2.2:1", reason="BAD_CREDENTIALS")
        await until(lambda: any("count" in line for line in lines), 30)

    calls = [line for line in lines if line["event"] == "call"]
    assert [line["peer"] for line in calls] == [
        *(f"ipv4:192.0.2.1:{port}" for port in range(5)),
        "ipv4:192.0.2.2:1",
    ]
    (left,) = [line for line in lines if line["event"] != "call"]
    assert (left["client_address"], left["count"]) == ("192.0.2.1", 995)


async def test_calls_of_known_callers_and_faults_all_have_lines():
    access = AccessLog(ClientAddressResolver().resolve)
    with capture_logs() as lines:
        for _ in range(200):
            note(access)
            note(access, code="INVALID_ARGUMENT", reason="INVALID_ARGUMENT")
            note(access, subject=None)  # a login that went well
            note(access, code="INTERNAL", subject=None, reason="INTERNAL")
            refuse(access, "unix:")
        access.write()

    assert len([line for line in lines if line["event"] == "call"]) == 4 * 200 + 5
    assert [line["count"] for line in lines if line["event"] != "call"] == [195]


async def test_refused_calls_of_many_places_are_bounded_and_all_counted():
    access = AccessLog(ClientAddressResolver().resolve)
    with capture_logs() as lines:
        for number in range(20_000):
            refuse(access, f"ipv4:10.{number >> 16}.{number >> 8 & 255}.{number & 255}:1")
        assert len(access._refused._counts) <= 501
        access.write()

    calls = [line for line in lines if line["event"] == "call"]
    counts = [line for line in lines if line["event"] != "call"]
    assert len(calls) == 50
    assert len(counts) <= 51
    assert counts[-1]["client_address"] == "elsewhere"
    assert len(calls) + sum(line["count"] for line in counts) == 20_000


async def test_next_second_has_lines_again():
    access = AccessLog(ClientAddressResolver().resolve)
    with capture_logs() as lines:
        for _ in range(10):
            refuse(access, "unix:")
        access.write()
        lines.clear()
        refuse(access, "unix:")
        access.write()

    assert [line["event"] for line in lines] == ["call"]


async def test_the_count_has_no_request_id_of_one_of_those_that_are_counted():
    access = AccessLog(ClientAddressResolver().resolve)
    with (
        structlog.contextvars.bound_contextvars(request_id="first"),
        capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines,
    ):
        for port in range(20):
            refuse(access, f"ipv4:192.0.2.1:{port}")
        await until(lambda: any("count" in line for line in lines), 30)

    assert [line.get("request_id") for line in lines if "count" in line] == [None]
