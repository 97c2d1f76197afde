"""Imitated engines that can be lost, hung or slow, and have selected capabilities."""

import asyncio
from contextlib import asynccontextmanager

from proad import ports
from proad.drivers.memory import MemoryDriver
from proad.errors import EngineTimedOutError, EngineUnreachableError
from proad.model import Capability, ResourceKind, StopMode


class Engine:
    """A memory driver behind a switch.

    `mode` is "up", "lost" (raises EngineUnreachableError), "slow" (EngineTimedOutError),
    "hung" (never answers) or "broken" (a bug). Subscriptions end when it is lost; of all
    the others only a probe can tell.
    """

    full_view_age = None
    lacks: frozenset[Capability] = frozenset()

    def __init__(self, name, *kinds, stop_modes=frozenset(StopMode)):
        self.name = name
        self.endpoint = f"imitated:{name}"
        self.kinds = kinds
        self.stop_modes = stop_modes
        self.asked = []
        self._inner = MemoryDriver()
        self._mode = "up"

    @property
    def mode(self):
        return self._mode

    @mode.setter
    def mode(self, mode):
        self._mode = mode
        if mode == "lost":
            self._inner.lose()
        else:
            self._inner.come_back()

    @property
    def behind(self):
        """Return the engine itself, for external changes."""
        return self._inner

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        pass

    @asynccontextmanager
    async def subscribe(self, on_event):
        await self.switch("subscribe")
        async with self._inner.subscribe(on_event) as lost:
            yield lost

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

    @asynccontextmanager
    async def block(self, *args, **kwargs):
        await self.switch(method)
        async with getattr(self._inner, method)(*args, **kwargs) as inner:
            yield inner

    names = (
        *("start_command", "attach", "connect_port", "connect_socket"),
        *("read_file", "read_log", "write_file"),
    )
    blocks = dict.fromkeys(names, block)
    return {"pull_image": stream, "list_files": stream, **blocks}.get(method, call)


def engine(name, *kinds, offers=(), **settings):
    """An engine of a class that has the methods of the protocols in `offers` and no others."""
    methods = [
        method
        for protocol in (ports.Driver, *offers)
        for method in vars(protocol)
        if not method.startswith("_")
        and callable(getattr(protocol, method))
        and not hasattr(Engine, method)
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
