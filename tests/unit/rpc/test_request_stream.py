"""The messages of a call with a stream of requests."""

from datetime import timedelta
from typing import Any

import pytest

from proa import v1
from proad.errors import InvalidArgumentError, UserLimitError
from proad.rpc.request_stream import RequestStream


class Context:
    """What gRPC has of a call: it takes what is written."""

    def __init__(self):
        self.written = []

    async def write(self, data):
        self.written.append(data)


def stream(*later, pace=lambda: None, renewed=None):
    """Return a stream that begins with a start, and that has these messages after it."""
    waiting = iter(later)

    async def read():
        return next(waiting, None)

    async def renew(token):
        assert renewed is not None
        renewed.append(token)

    first = v1.ExecRequest(start=v1.ExecStart(id="web"))
    context: Any = Context()
    return RequestStream(first, read, renew, context, pace)


async def test_opening_is_the_first_message_and_no_other():
    assert stream().opening("start").id == "web"
    with pytest.raises(InvalidArgumentError):
        stream().opening("resize")


async def test_next_returns_field_and_value_until_the_end():
    messages = stream(v1.ExecRequest(stdin=b"x"), v1.ExecRequest(signal="TERM"))

    assert [await messages.next() for _ in range(3)] == [("stdin", b"x"), ("signal", "TERM"), None]


async def test_next_renews_the_token_by_itself():
    renewed: list[str] = []
    messages = stream(
        v1.ExecRequest(renew=v1.TokenRenewal(token="t")),
        v1.ExecRequest(stdin=b"x"),
        renewed=renewed,
    )

    assert await messages.next() == ("stdin", b"x")
    assert renewed == ["t"]


async def test_next_of_a_message_without_a_field_is_refused():
    with pytest.raises(InvalidArgumentError):
        await stream(v1.ExecRequest()).next()


async def test_next_counts_messages_without_data_among_the_calls_of_the_user():
    counted: list[None] = []
    messages = stream(
        v1.ExecRequest(stdin=b"x"),
        v1.ExecRequest(resize=v1.TerminalSize()),
        pace=lambda: counted.append(None),
    )

    await messages.next()
    assert counted == []
    await messages.next()
    assert counted == [None]


async def test_next_of_a_user_who_sends_too_many_is_refused():
    def pace():
        raise UserLimitError("1 call in a second", "user_calls_per_second", timedelta(seconds=1))

    with pytest.raises(UserLimitError):
        await stream(v1.ExecRequest(resize=v1.TerminalSize()), pace=pace).next()


async def test_messages_are_counted_in_bytes_both_ways():
    messages = stream(v1.ExecRequest(stdin=b"x" * 100))
    await messages.next()
    await messages.send(v1.ExecResponse(stdout=b"y" * 50))

    assert messages.received > 100
    assert 50 < messages.sent < 100
