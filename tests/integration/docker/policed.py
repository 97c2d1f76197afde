"""A daemon under a policy, in front of a real engine whose calls are noted."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.json_format import ParseDict

from integration.docker.counting_proxy import CountingProxy
from integration.docker.engine_socket import engine_socket
from proa import v1
from proad.auth.keys import KeyRing
from proad.auth.passwords import Passwords
from proad.config import Settings
from proad.drivers.docker import DockerDriver
from proad.store.database import Database
from proad.store.users import UserStore
from rpc.daemon import BOTH, Daemon, Refusal, refusal, running


@dataclass
class Policed:
    """A daemon, and what it asked the engine for."""

    daemon: Daemon
    proxy: CountingProxy

    @property
    def changes(self) -> list[str]:
        """The calls to the engine that were no reads."""
        return [call for call in self.proxy.calls if not call.startswith(("GET ", "HEAD "))]

    async def denied(self, name: str, **request: Any) -> Refusal:
        """Make a call that must fail, and change nothing on the engine."""
        before = len(self.changes)
        error: Refusal = await refusal(self.daemon.call(name, **request))
        assert self.changes[before:] == [], (name, request, error)
        return error


def rules_of(error: Refusal) -> set[str]:
    """Return the rules that a refusal names."""
    assert error.reason == "POLICY_DENIED", error
    return {each.type for each in error.details["PreconditionFailure"].violations}


def spec_message(fields: Mapping[str, Any]) -> v1.ContainerSpec:
    """Return a specification from its JSON."""
    return ParseDict(dict(fields), v1.ContainerSpec())


@asynccontextmanager
async def policed(folder: Path, **policy: Any) -> AsyncIterator[Policed]:
    """Serve the real engine under a policy; ann has both scopes."""
    state = folder / "state"
    state.mkdir(mode=0o700, parents=True)
    values: dict[str, Any] = {"listen": "127.0.0.1:0", "drain_timeout": "5s", "policy": policy}
    settings = Settings(state_dir=state, **values)
    async with Database.open(settings.database_url.get_secret_value()) as database:
        with Passwords(cost=4) as passwords:
            hashed = await passwords.hash("correct horse")
        await UserStore(database).add("ann", hashed, BOTH)
    KeyRing.open(settings.keys_dir)
    async with (
        CountingProxy(engine_socket(), folder / "proxy.sock").serving() as proxy,
        running(settings, [("local", DockerDriver(proxy.url))]) as daemon,
    ):
        yield Policed(daemon, proxy)
