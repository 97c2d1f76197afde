"""Responses of streams, on their way to the caller."""

import asyncio
from typing import Any

import grpc
from grpc._cython import cygrpc  # type: ignore[attr-defined] # the only name of this error


async def write(context: grpc.aio.ServicerContext[Any, Any], response: Any) -> None:
    """Write a response; wait while the caller does not read.

    A caller who goes away meanwhile makes gRPC fail the write, before it cancels the call.

    Raises:
        CancelledError: the caller has gone.
    """
    try:
        await context.write(response)
    except cygrpc.ExecuteBatchError:
        raise asyncio.CancelledError from None
