"""The addresses of registries, which decide whether an engine may be told to connect to them."""

import asyncio
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import ip_address

from proad.errors import Violation
from proad.model import DOCKER_HUB, host_and_port
from proad.policy.registries import (
    Address,
    is_named,
    is_near_address,
    judge_registry,
    literal_address,
    near,
)

_LOOKUPS = 4


class RegistryJudge:
    """Judges whether an engine may be told to connect to a registry.

    Names are resolved here as a best effort: the engine resolves them again, and follows the
    redirects of the registry. A name that cannot be resolved is allowed: the engine may have
    a proxy or a mirror for it.

    Args:
        resolve_within: seconds to wait for a name to be resolved; the resolver may take far
            longer to give up.
    """

    def __init__(self, *, resolve_within: float = 2.0) -> None:
        self._resolve_within = resolve_within
        self._lookups = asyncio.Semaphore(_LOOKUPS)

    async def judge(
        self, registry: str, allowed: Sequence[str], *, field: str = ""
    ) -> Violation | None:
        """Return the violation of a registry; None: it is allowed.

        Raises:
            ValueError: `registry` is neither HOST nor HOST:PORT.
        """
        found = judge_registry(registry, allowed, field=field)
        if found is not None or is_named(registry, allowed):
            return found
        host, _ = host_and_port(registry)
        is_name = host != DOCKER_HUB and literal_address(host) is None
        if is_name and await self._leads_near(host):
            return near(registry, field=field)
        return None

    async def _leads_near(self, host: str) -> bool:
        with suppress(TimeoutError):
            found = await asyncio.wait_for(self._resolve(host), self._resolve_within)
            return any(map(is_near_address, found))
        return False

    async def _resolve(self, host: str) -> Sequence[Address]:
        """Resolve a name on a thread of its own, which delays neither others nor the exit."""
        await self._lookups.acquire()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Sequence[Address]] = loop.create_future()

        def done(addresses: Sequence[Address]) -> None:
            self._lookups.release()
            if not answer.done():
                answer.set_result(addresses)

        def resolve() -> None:
            addresses = _resolved(host)
            with suppress(RuntimeError):  # the event loop is closed by now
                loop.call_soon_threadsafe(done, addresses)

        threading.Thread(target=resolve, name="resolve", daemon=True).start()
        return await answer


def _resolved(host: str) -> list[Address]:
    with suppress(OSError, ValueError):
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        return [ip_address(str(where[0]).partition("%")[0]) for *_, where in found]
    return []
