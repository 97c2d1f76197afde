"""A bare grpc.aio server: what gRPC itself takes of a call."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from tempfile import TemporaryDirectory
from typing import Any

import grpc

from bench.workers import working
from proa import v1

METHOD = "/proa.v1.ResourceService/GetResource"
"""The only method that it has."""


@dataclass(frozen=True)
class Echo:
    """A server that runs.

    Attributes:
        pid: of its process.
        socket: path of its Unix socket.
    """

    pid: int
    socket: str


@contextmanager
def echoing(answer: bytes) -> Iterator[Echo]:
    """Run a server without interceptor and token that answers every call with the same message."""
    with TemporaryDirectory(prefix="proa-bench-") as folder:
        socket = f"{folder}/echo.sock"
        with working(_echo, f"unix:{socket}", answer) as worker:
            worker.answer()
            yield Echo(worker.pid, socket)


def _echo(connection: "Connection[Any, Any]", address: str, answer: bytes) -> None:
    asyncio.run(_serve(connection, address, v1.GetResourceResponse.FromString(answer)))


async def _serve(
    connection: "Connection[Any, Any]", address: str, response: v1.GetResourceResponse
) -> None:
    async def get(_request: v1.GetResourceRequest, _context: object) -> v1.GetResourceResponse:
        return response

    handler = grpc.unary_unary_rpc_method_handler(
        get, v1.GetResourceRequest.FromString, v1.GetResourceResponse.SerializeToString
    )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("proa.v1.ResourceService", {"GetResource": handler})]
    )
    server.add_insecure_port(address)
    await server.start()
    connection.send("ready")
    closed = asyncio.Event()
    asyncio.get_running_loop().add_reader(connection.fileno(), closed.set)
    await closed.wait()
    await server.stop(None)
