"""Lines of the access log: one for each call, and bounded for refused ones."""

from datetime import UTC, datetime

import structlog
from structlog.testing import capture_logs

from eventually import consistently
from proad.auth.client_address import ClientAddressResolver
from proad.rpc.access_log import AccessLog
from proad.rpc.timing import RpcTiming
from unit.core.inventory.scripted import until


def note(access, *, method="M", code="OK", subject="ann", peer="ipv4:192.0.2.1:1", reason=None):
    access.note(method=method, code=code, subject=subject, peer=peer, reason=reason)


def refuse(access, peer, *, reason="TOKEN_MISSING"):
    note(access, code="UNAUTHENTICATED", subject=None, peer=peer, reason=reason)


async def test_lines_without_a_write_come_with_the_time_of_their_calls():
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


async def test_line_that_is_written_at_the_end_is_not_written_again():
    access = AccessLog(ClientAddressResolver().resolve, RpcTiming(log_within=0.001))
    with capture_logs() as lines:
        note(access, method="Last")
        access.write()
        # Twenty times as long as a line waits.
        await consistently(lambda: len(lines) == 1, during=0.02, every=0.002)

    assert [line["method"] for line in lines] == ["Last"]


async def test_refused_calls_of_one_address_have_some_lines_and_a_count():
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


async def test_calls_of_known_callers_and_faults_have_a_line_each():
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


async def test_refused_calls_of_many_addresses_have_bounded_lines_and_are_all_counted():
    access = AccessLog(ClientAddressResolver().resolve)
    with capture_logs() as lines:
        for number in range(20_000):
            refuse(access, f"ipv4:10.{number >> 16}.{number >> 8 & 255}.{number & 255}:1")
        access.write()

    calls = [line for line in lines if line["event"] == "call"]
    counts = [line for line in lines if line["event"] != "call"]
    assert len(calls) == 50
    assert len(counts) <= 51
    assert counts[-1]["client_address"] == "elsewhere"
    assert len(calls) + sum(line["count"] for line in counts) == 20_000


async def test_refused_calls_of_the_next_period_have_lines_again():
    access = AccessLog(ClientAddressResolver().resolve)
    with capture_logs() as lines:
        for _ in range(10):
            refuse(access, "unix:")
        access.write()
        lines.clear()
        refuse(access, "unix:")
        access.write()

    assert [line["event"] for line in lines] == ["call"]


async def test_count_of_refused_calls_has_no_correlation_id():
    access = AccessLog(ClientAddressResolver().resolve)
    with (
        structlog.contextvars.bound_contextvars(correlation_id="first"),
        capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines,
    ):
        for port in range(20):
            refuse(access, f"ipv4:192.0.2.1:{port}")
        await until(lambda: any("count" in line for line in lines), 30)

    assert [line.get("correlation_id") for line in lines if "count" in line] == [None]
