"""A daemon with a user for each profile, to compare what the profiles allow."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from eventually import eventually
from proad.auth.keys import KeyRing
from proad.auth.passwords import Passwords
from proad.config import Settings
from proad.ports import Driver
from proad.store.database import Database
from proad.store.users import UserStore
from relaxed_policy import RELAXED
from rpc.daemon import BOTH, RPCS, Daemon, Refusal, refusal, running


@dataclass
class Profiled:
    """The daemon. Each call is one of the user of a profile."""

    daemon: Daemon

    async def call(self, profile: str, name: str, /, **request: Any) -> Any:
        """Make a call, and return its answer."""
        rpc = RPCS[name]
        token = self.daemon.token(*BOTH, username=profile)
        return await self.daemon.send(rpc, rpc.request(**request), token=token, timeout=60)

    async def answers(self) -> bool:
        """Return whether the engine answers: a busy one may be taken for lost at first."""
        try:
            await self.call("default", "ListResources")
        except grpc.aio.AioRpcError as error:
            assert Refusal.of(error).reason == "ENGINE_UNREACHABLE", error  # noqa: PT017 - of many
            return False
        return True

    async def denied(self, profile: str, name: str, /, **request: Any) -> Refusal:
        """Make a call that must fail."""
        error: Refusal = await refusal(self.call(profile, name, **request))
        return error


@asynccontextmanager
async def profiled(
    folder: Path, driver: Driver, profiles: Mapping[str, Mapping[str, object]]
) -> AsyncIterator[Profiled]:
    """Serve an engine with profiles below a ceiling that allows all.

    Args:
        folder: for the state; not there yet.
        driver: of the engine.
        profiles: what each states; the user of a profile has its name.
    """
    folder.mkdir(mode=0o700, parents=True)
    values: dict[str, Any] = {
        "listen": "127.0.0.1:0",
        "drain_timeout": "5s",
        "policy": {**RELAXED, "allowed_registries": ("*", "localhost:5000"), "profiles": profiles},
    }
    settings = Settings(state_dir=folder, **values)
    async with Database.open(settings.database_url.get_secret_value()) as database:
        with Passwords(cost=4) as passwords:
            hashed = await passwords.hash("correct horse")
        for profile in profiles:
            await UserStore(database).add(profile, hashed, BOTH, profile=profile)
    KeyRing.open(settings.keys_dir)
    async with running(settings, [("local", driver)]) as daemon:
        served = Profiled(daemon)
        await eventually(served.answers)
        yield served


def told(error: Refusal) -> tuple[str, set[str]]:
    """Return what a denial names: its first rule, and the settings of all of them."""
    assert error.reason == "POLICY_DENIED", error
    violations = error.details["PreconditionFailure"].violations
    return error.metadata["rule"], {each.description.partition(":")[0] for each in violations}
