"""Ports of this host that lead into resources, as Python programs have them."""

import asyncio
import socket
from contextlib import ExitStack

import pytest

import proa.aio
from rpc.daemon import BOTH


async def is_over(connection):
    """Return whether a connection has been ended from the other side."""
    try:
        return (
            await asyncio.wait_for(asyncio.get_running_loop().sock_recv(connection, 1), 60) == b""
        )
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("turns", range(8))
async def test_connection_that_comes_while_the_listener_ends_is_reset(daemon, turns):
    await daemon.container("web")
    token = daemon.token(*BOTH)
    with ExitStack() as sockets:
        async with proa.aio.connect(daemon.address, token=token) as client:
            async with client.listen_port("web", 80) as listener:
                come = [
                    sockets.enter_context(socket.create_connection(listener.address))
                    for _ in range(20)
                ]
                for _ in range(turns):  # of the event loop: some are accepted, some have begun
                    await asyncio.sleep(0)
            for each in come:
                each.setblocking(False)
            assert all(await asyncio.gather(*map(is_over, come)))
