"""Daemons on the memory driver: `daemon` is one, `serve` makes others."""

import asyncio
import json
import shutil
from contextlib import AsyncExitStack
from uuid import uuid4

import pytest

from proad.auth.keys import KeyRing
from proad.auth.passwords import Passwords
from proad.config import Settings
from proad.control import Control
from proad.core.engine_connection import ProbeTiming
from proad.drivers.memory import MemoryDriver
from proad.model.scope import Scope
from proad.store.database import Database
from proad.store.users import UserStore
from proad.timing import DaemonTiming
from relaxed_policy import RELAXED
from rpc.daemon import ALL, BOTH, running
from rpc.engines import container_engine, domain_engine
from rpc.held import Held

PASSWORD = "correct horse"


def _settings(folder, **others):
    usual = {"listen": "127.0.0.1:0", "drain_timeout": "5s", "policy": RELAXED}
    return Settings(state_dir=folder, **usual | others)


@pytest.fixture(scope="session")
def _first_state(tmp_path_factory):
    """A state folder with users and a key, made once: a migration takes its time."""
    folder = tmp_path_factory.mktemp("state")
    folder.chmod(0o700)
    settings = _settings(folder)

    async def fill():
        url = settings.database_url.get_secret_value()
        async with Database.open(url) as database:
            with Passwords(cost=4) as passwords:
                hashed = await passwords.hash(PASSWORD)
            users = UserStore(database)
            await users.add("ann", hashed, BOTH)
            await users.add("eve", hashed, ALL)
            await users.add("bob", hashed, (Scope.BASIC,))

    asyncio.run(fill())
    KeyRing.open(settings.keys_dir)
    return folder


@pytest.fixture
def settings(_first_state, tmp_path):
    """Makes settings with the state folder of a test's daemon; another `state` is another one's."""

    def make(*, state="proa", **others):
        folder = tmp_path / state
        if not folder.exists():
            shutil.copytree(_first_state, folder)
        return _settings(folder, **others)

    return make


@pytest.fixture
async def serve(settings):
    """Start a daemon with (host, driver) pairs; the daemon stops when the test is over."""
    async with AsyncExitStack() as stack:

        async def start(*drivers, parts=None, timing=DaemonTiming(), **others):
            pairs = drivers or [("local", MemoryDriver())]
            daemon = running(settings(**others), pairs, timing=timing, **(parts or {}))
            return await stack.enter_async_context(daemon)

        yield start


@pytest.fixture
async def daemon(serve):
    return await serve()


@pytest.fixture
def boxes():
    return container_engine()


@pytest.fixture
def machines():
    return domain_engine()


@pytest.fixture
def quick():
    """Return a timing of probes that a test need not wait for."""
    return DaemonTiming(
        probes=ProbeTiming(probe_interval=0.05, first_lost_interval=0.05, probe_timeout=0.2)
    )


@pytest.fixture
async def mixed(serve, quick, boxes, machines):
    """A container "web" on one engine, a domain "vm" on the other."""
    daemon = await serve(("local", boxes), ("local", machines), timing=quick)
    await daemon.container("web")
    await daemon.domain("vm")
    return daemon


@pytest.fixture
def held():
    return Held()


@pytest.fixture
def new_id():
    return str(uuid4())


@pytest.fixture
async def handed(serve):
    """A daemon that takes the host's commands, and what hands a resource or a volume over there."""
    control = Control()
    daemon = await serve(parts={"control": control})

    async def hand_over(ref, owner):
        return await control.run(json.dumps(["own", ref, owner]).encode())

    return daemon, hand_over
