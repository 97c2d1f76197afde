"""The details of asyncio calls."""

from grpc import aio


def with_token(
    details: aio.ClientCallDetails, timeout: float | None, token: str | None
) -> aio.ClientCallDetails:
    """Return the details with the deadline, and with a token unless the caller set one."""
    metadata = aio.Metadata(*(details.metadata or ()))
    if token is not None:
        metadata.add("authorization", f"Bearer {token}")
    return aio.ClientCallDetails(
        details.method,
        timeout,
        metadata,
        details.credentials,
        details.wait_for_ready,
    )


def method_of(details: aio.ClientCallDetails) -> str:
    """Return the path of the method."""
    # Declared as str, but grpc.aio passes bytes.
    method: str | bytes = details.method
    return method.decode() if isinstance(method, bytes) else method
