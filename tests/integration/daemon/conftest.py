import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import proa
from eventually import wait_until
from free_port import free_port
from proa import v1
from proad.auth.passwords import Passwords
from proad.model.scope import Scope
from proad.state import prepare_state_dir
from proad.store.database import Database
from proad.store.users import UserStore
from relaxed_policy import write_config

BIN = Path(sys.executable).parent
PASSWORD = "correct horse"


@dataclass
class Daemon:
    """A daemon in a process of its own, with a user `ada` (all scopes) and `eve` (basic).

    Attributes:
        prefix: a program that runs the daemon, and its arguments.
    """

    home: Path
    environment: dict[str, str]
    arguments: list[str] = field(default_factory=list)
    prefix: list[str] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None
    address: str = ""

    def __post_init__(self) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self.environment = os.environ | {
            "PROA_STATE_DIR": str(self.home / "state"),
            "PROA_LISTEN": self.address,
            "PROA_VIRT_TYPE": "qemu",
            "PROA_LOG_FORMAT": "json",
            "PROA_CONFIG": str(write_config(self.home)),
            **self.environment,
        }

    def start(self) -> None:
        asyncio.run(self._add_users())
        with (self.home / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [*self.prefix, BIN / "proad", "serve", *self.arguments],
                env=self.environment,
                stderr=log,
            )
        wait_until(self._serves, "the daemon serves")

    def _serves(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.home / "log").read_text()
        return any(event["event"] == "serving" for event in self.log())

    async def _add_users(self) -> None:
        """Add users as `proad user add` does, without the start of an interpreter for each."""
        folder = Path(self.environment["PROA_STATE_DIR"])
        prepare_state_dir(folder)
        url = self.environment.get("PROA_DATABASE_URL", f"sqlite:///{folder}/proa.db")
        async with Database.open(url) as database:
            users = UserStore(database)
            with Passwords(cost=4) as passwords:
                hashed = await passwords.hash(PASSWORD)
            for name, scopes in (("ada", tuple(Scope)), ("eve", (Scope.BASIC,))):
                if await users.get(name) is None:
                    await users.add(name, hashed, scopes)

    def log(self) -> list[dict[str, Any]]:
        lines = (self.home / "log").read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.startswith("{") and line[-1] == "\n"]

    def client(self, username: str = "ada", **options: Any) -> proa.Client:
        return proa.connect(self.address, username=username, password=PASSWORD, **options)

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout=60)


def under_way(client: proa.Client, name: str) -> None:
    """Wait until something is being done to a resource."""
    request = v1.GetResourceRequest(id=name)
    wait_until(lambda: client.resources.GetResource(request).resource.activity.step, every=0.02)


@pytest.fixture
def start_daemon(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    started: list[Daemon] = []

    def start(*arguments: str, **environment: str) -> Daemon:
        """Start a daemon with the relaxed policy; with PROA_CONFIG="", with the default one."""
        home = tmp_path / f"daemon{len(started)}"
        home.mkdir()
        daemon = Daemon(home, environment, list(arguments))
        started.append(daemon)
        daemon.start()
        return daemon

    yield start
    for daemon in started:
        if daemon.process is not None and daemon.process.poll() is None:
            daemon.process.kill()
            daemon.process.wait()


@pytest.fixture(params=["sqlite", "postgresql"])
def daemon_on_each_database(
    request: pytest.FixtureRequest, start_daemon: Callable[..., Daemon]
) -> Daemon:
    if request.param == "sqlite":
        return start_daemon("--memory")
    return start_daemon("--memory", PROA_DATABASE_URL=request.getfixturevalue("postgres_url"))


@pytest.fixture
def token() -> str:
    """A name that only this test has."""
    return f"proa-test-{secrets.token_hex(4)}"


@pytest.fixture
def swept(token: str) -> Iterator[Callable[[proa.Client], None]]:
    """Remembers clients through which all that is named after the token goes at the end."""
    clients: list[proa.Client] = []
    yield clients.append
    for client in clients:
        listing = client.resources.ListResources(
            v1.ListResourcesRequest(
                filter=v1.ResourceFilter(name_prefix=token), return_partial_success=True
            )
        )
        for resource in listing.resources:
            with suppress(proa.NotFound):
                client.resources.DeleteResource(
                    v1.DeleteResourceRequest(
                        id=resource.id, force=True, delete_snapshots=True, delete_saved_state=True
                    )
                )
