"""A succession of daemons over one state folder, each of which may be killed."""

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import grpc

from eventually import wait_until
from free_port import free_port
from kills.killer import Order
from proa import v1
from proad.auth.passwords import Passwords
from proad.model import Access
from proad.model.scope import Scope
from proad.state import prepare_state_dir
from proad.store.database import Database
from proad.store.users import UserStore

PASSWORD = "correct horse"


class Daemons:
    """Starts and kills daemons, and calls the one that lives.

    Args:
        home: folder of all of them.
        docker_url: address of a Docker Engine.
        libvirt_uri: address of a libvirtd.
        pool: the storage pool of new volumes.
        pool_path: the folder of that pool.
        access: of the user `ada`, who makes the calls.
        environment: settings.
    """

    def __init__(
        self,
        home: Path,
        *,
        docker_url: str,
        libvirt_uri: str,
        pool: str,
        pool_path: Path,
        access: Access = Access.ALL,
        **environment: str,
    ) -> None:
        self.home = home
        self.killings = 0
        self._access = access
        self._database_url = environment.get("PROA_DATABASE_URL", f"sqlite:///{home}/state/proa.db")
        self._address = f"127.0.0.1:{free_port()}"
        self._order = {
            "home": str(home),
            "pool": pool,
            "pool_path": str(pool_path),
            "environment": {
                "PROA_STATE_DIR": str(home / "state"),
                "PROA_LISTEN": self._address,
                "PROA_DOCKER_URL": docker_url,
                "PROA_LIBVIRT_URI": libvirt_uri,
                "PROA_LOG_FORMAT": "json",
                "PROA_TOKEN_LIFETIME": "24h",
                "PROA_DATABASE_URL": self._database_url,
                **environment,
            },
        }
        self._pid = 0
        self._token = ""
        self._channel: grpc.Channel | None = None

    def __enter__(self) -> Self:
        asyncio.run(self._add_user())
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "kills.mortal"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ
            | {
                "PYTHONPATH": os.pathsep.join(sys.path),
                "GRPC_ENABLE_FORK_SUPPORT": "0",
                "GRPC_VERBOSITY": "NONE",
            },
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        assert self._parent.stdin is not None
        self._parent.stdin.close()
        self._parent.wait(30)
        assert self._parent.stdout is not None
        self._parent.stdout.close()

    def start(self) -> None:
        """Start a daemon and wait until it serves."""
        (self.home / "serving").unlink(missing_ok=True)
        (self.home / "kill").unlink(missing_ok=True)
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.write(json.dumps(self._order) + "\n")
        self._parent.stdin.flush()
        self._pid = int(self._parent.stdout.readline())
        wait_until(self._serves, "the daemon serves", every=0.02)
        if not self._token:
            request = v1.CreateTokenRequest(username="ada", password=PASSWORD)
            self._token = self.call("Auth", "CreateToken", request).token

    def _serves(self) -> bool:
        assert self.alive, self.log()
        return (self.home / "serving").exists()

    @property
    def alive(self) -> bool:
        """Whether the daemon lives."""
        with suppress(ProcessLookupError):
            os.kill(self._pid, 0)
            return bool(self._pid)
        return False

    def die_at(self, order: Order) -> None:
        """Have the daemon kill itself at its next request with an id."""
        order.write(self.home / "kill")

    def kill(self) -> None:
        """Kill the daemon, if it lives, and wait until it is dead."""
        if self.alive:
            os.kill(self._pid, signal.SIGKILL)
        self.wait_dead()

    def wait_dead(self) -> None:
        """Wait until the daemon has died."""
        if self._pid:
            wait_until(lambda: not self.alive, "the daemon is dead", every=0.01)
            self.killings += 1
        self._pid = 0
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def call(self, service: str, method: str, request: Any, *, within: float = 60) -> Any:
        """Call a method of the contract, once."""
        if self._channel is None:
            self._channel = self.connect()
        return self.call_on(self._channel, service, method, request, within=within)

    def connect(self) -> grpc.Channel:
        """Return a channel to the daemons, which outlives each of them."""
        options = [("grpc.enable_retries", 0), ("grpc.max_reconnect_backoff_ms", 200)]
        return grpc.insecure_channel(self._address, options=options)

    def call_on(
        self, channel: grpc.Channel, service: str, method: str, request: Any, *, within: float
    ) -> Any:
        """Call a method of the contract, once, on a channel."""
        stub = getattr(v1, f"{service}ServiceStub")(channel)
        metadata = [("authorization", f"Bearer {self._token}")] if self._token else []
        return getattr(stub, method)(
            request, timeout=within, metadata=metadata, wait_for_ready=bool(self._pid)
        )

    def volume_records(self) -> list[tuple[str, str]]:
        """Return name and state of each record of a volume."""
        with closing(sqlite3.connect(self.home / "state/proa.db")) as database:
            return database.execute("select name, state from volumes").fetchall()

    def log(self) -> str:
        """Return what all daemons have logged."""
        return (self.home / "log").read_text()

    async def _add_user(self) -> None:
        folder = self.home / "state"
        prepare_state_dir(folder)
        async with Database.open(self._database_url) as database:
            with Passwords(cost=4) as passwords:
                hashed = await passwords.hash(PASSWORD)
            users = UserStore(database)
            if await users.get("ada") is None:
                await users.add("ada", hashed, tuple(Scope), access=self._access)


def new_id() -> str:
    """Return a new request id."""
    return str(uuid4())
