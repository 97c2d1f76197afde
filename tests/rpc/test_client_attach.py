"""Attach by both clients, to the consoles of the memory driver."""

import asyncio

import pytest

import proa
import proa.aio
from proa import v1
from rpc.daemon import BOTH


@pytest.fixture
async def daemon(serve):
    daemon = await serve()
    await daemon.container("web", stdin_open=True)
    await daemon.domain("vm")
    return daemon


def from_a_thread(daemon, work):
    """Run work with the synchronous client on a thread."""

    def run():
        with proa.connect(daemon.address, token=daemon.token(*BOTH), timeout=60) as client:
            return work(client)

    return asyncio.to_thread(run)


async def test_attach_gives_both_outputs_and_the_exit(daemon):
    def work(client):
        with client.attach("web") as console:
            assert (console.kind, console.tty, console.stdin) == (
                v1.RESOURCE_KIND_CONTAINER,
                False,
                True,
            )
            assert (console.can_signal, console.can_resize, console.stdin_once) == (
                True,
                False,
                False,
            )
            console.write(b"echo out; echo err >&2; exit 3\n")
            said = console.communicate()
            return said, console.exit, console.ended

    said, exit, ended = await from_a_thread(daemon, work)
    assert said == (b"out\n", b"err\n")
    assert (exit.code, ended) == (3, True)


async def test_attach_feeds_what_it_is_given_and_leaves_the_container_running(daemon):
    def work(client):
        with client.attach("web", stdin=b"echo fed\n") as console:
            first = next(console)
            console.detach()
            return first.data, list(console), console.ended

    assert await from_a_thread(daemon, work) == (b"fed\n", [], False)
    assert await daemon.state("web") == "RUNNING"


async def test_attach_that_is_taken_over_raises_the_typed_error(daemon):
    def work(client):
        with client.attach("vm", exclusive=True) as first:
            with pytest.raises(proa.FailedPrecondition), client.attach("vm"):
                pass
            with client.attach("vm", force=True), pytest.raises(proa.Aborted) as taken:
                list(first)
            return taken.value.reason

    assert await from_a_thread(daemon, work) == "CONSOLE_TAKEN"


async def test_aio_attach_gives_output_and_tells_that_a_domain_has_ended(daemon):
    client = proa.aio.connect(daemon.address, token=daemon.token(*BOTH), timeout=60)
    async with client, client.attach("vm") as console:
        said = (await anext(console)).data
        while b"login: " not in said:
            said += (await anext(console)).data
        await console.write(b"root\r")
        await daemon.call("StopResource", id="vm", mode="STOP_MODE_FORCE")
        await console.communicate()
        assert (console.ended, console.exit) == (True, None)


async def test_aio_attach_feeds_and_detaches(daemon):
    client = proa.aio.connect(daemon.address, token=daemon.token(*BOTH), timeout=60)
    async with client, client.attach("web", stdin=b"echo fed\n") as console:
        assert (await anext(console)).data == b"fed\n"
        await console.detach()
        assert [output async for output in console] == []
        assert not console.ended
    assert await daemon.state("web") == "RUNNING"
