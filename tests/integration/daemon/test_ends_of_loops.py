"""Event loops that end with streams that nobody has read to their ends."""

import asyncio
import logging
from collections.abc import Callable

import pytest

import proa
from integration.daemon.conftest import PASSWORD, Daemon
from proa import v1

STREAMS = 20  # which of the generators of one is closed first, is chance


def test_streams_that_are_left_early_end_with_the_loop_without_a_word(
    start_daemon: Callable[..., Daemon], caplog: pytest.LogCaptureFixture
):
    daemon = start_daemon("--memory")
    with daemon.client() as client:
        spec = v1.ContainerSpec(image="proa-test/busybox:1", name="web")
        client.containers.CreateContainer(v1.CreateContainerRequest(spec=spec, start=True))

    async def leave_early() -> None:
        async with proa.aio.connect(daemon.address, username="ada", password=PASSWORD) as client:

            async def leave() -> None:
                async with client.exec("web", ["cat"], stdin=True) as process:
                    await process.write(b"text")
                    assert (await anext(process)).data == b"text"
                async with client.forward_port("web", 7) as connection:
                    await connection.write(b"text")
                    assert await connection.read() == b"text"

            await asyncio.gather(*(leave() for _ in range(STREAMS)))

    with caplog.at_level(logging.ERROR):
        asyncio.run(leave_early())
    assert not caplog.records
