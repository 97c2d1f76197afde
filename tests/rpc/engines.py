"""Imitated engines that can be lost, hang or be slow, and that offer what they are told to."""

import asyncio

from proad.core import ports
from proad.drivers.memory import MemoryDriver
from proad.errors import EngineTimedOutError, EngineUnreachableError
from proad.model import ResourceKind, StopMode


class Engine:
    """A memory driver behind a switch.

    `mode` is "up", "lost" (raises EngineUnreachableError), "slow" (EngineTimedOutError),
    "hung" (never answers) or "broken" (a bug).
    """

    capabilities = ()

    def __init__(self, name, *kinds, stop_modes=frozenset(StopMode)):
        self.name = name
        self.endpoint = f"imitated:{name}"
        self.kinds = kinds
        self.stop_modes = stop_modes
        self.mode = "up"
        self.asked = []
        self._inner = MemoryDriver()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        pass

    async def switch(self, method):
        self.asked.append(method)
        match self.mode:
            case "lost":
                raise EngineUnreachableError(self.name, "connection refused")
            case "slow":
                raise EngineTimedOutError(self.name)
            case "broken":
                raise RuntimeError("the secret of the engine")
            case "hung":
                await asyncio.Event().wait()


def _forwarded(method):
    async def call(self, *args, **kwargs):
        await self.switch(method)
        return await getattr(self._inner, method)(*args, **kwargs)

    async def stream(self, *args, **kwargs):
        await self.switch(method)
        async for event in getattr(self._inner, method)(*args, **kwargs):
            yield event

    return stream if method == "pull_image" else call


def engine(name, *kinds, offers=(), **settings):
    """An engine of a class that has the methods of the protocols in `offers` and no others."""
    methods = [
        method
        for protocol in (ports.Driver, *offers)
        for method in vars(protocol)
        if not method.startswith("_") and callable(getattr(protocol, method))
    ]
    cls = type("OneEngine", (Engine,), {method: _forwarded(method) for method in methods})
    return cls(name, *kinds, **settings)


def container_engine():
    return engine(
        "boxes",
        ResourceKind.CONTAINER,
        offers=(ports.Containers, ports.Images),
        stop_modes=frozenset(StopMode) - {StopMode.SAVE},
    )


def domain_engine():
    return engine(
        "machines",
        ResourceKind.DOMAIN,
        offers=(ports.Domains, ports.Snapshots, ports.Volumes, ports.Updates),
    )
