"""The client for asyncio.

    async with proa.aio.connect(username="ann", password=secret) as client:
        async for resource in client.list_resources():
            print(resource.name)

Errors are those of `proa`.
"""

from proa.aio.client import Client, connect

__all__ = ["Client", "connect"]
