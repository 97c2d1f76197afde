"""Logins under attack, against the daemon as a process and with bcrypt at its full cost."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from eventually import eventually
from integration.daemon.conftest import Daemon
from proa import v1
from proa.v1 import auth_service_pb2_grpc
from proad.auth.passwords import Passwords
from proad.model.scope import Scope
from proad.store.database import Database
from proad.store.users import UserStore

PASSWORD = "a password of full cost"
ATTACKERS = 50

Login = Callable[..., Coroutine[Any, Any, str]]


async def add_users(daemon: Daemon, *names: str) -> None:
    async with Database.open(f"sqlite:///{daemon.home}/state/proa.db") as database:
        with Passwords() as passwords:
            hashed = await passwords.hash(PASSWORD)
        for name in names:
            await UserStore(database).add(name, hashed, [Scope.BASIC])


@asynccontextmanager
async def logins(daemon: Daemon) -> AsyncIterator[Login]:
    """Return a function that logs in from some address and returns the outcome."""
    async with grpc.aio.insecure_channel(daemon.address) as channel:
        stub = auth_service_pb2_grpc.AuthServiceStub(channel)

        async def login(name: str, password: str = PASSWORD, *, address: str) -> str:
            request = v1.CreateTokenRequest(username=name, password=password)
            try:
                await stub.CreateToken(request, metadata=(("x-forwarded-for", address),))
            except grpc.aio.AioRpcError as error:
                return error.code().name
            return "OK"

        yield login


@asynccontextmanager
async def attack(login: Login, outcomes: Counter[str], name: Callable[[int], str]):
    """Fail at logins from many addresses without a pause, while this is entered."""

    async def keep_failing(number: int) -> None:
        while True:
            address = f"203.0.113.{number}"
            outcomes[await login(name(number), "a wrong one", address=address)] += 1

    attackers = [asyncio.create_task(keep_failing(number)) for number in range(ATTACKERS)]

    async def all_have_failed() -> bool:
        return outcomes["UNAUTHENTICATED"] >= ATTACKERS

    await eventually(all_have_failed, within=120)
    try:
        yield
    finally:
        for attacker in attackers:
            attacker.cancel()
        await asyncio.gather(*attackers, return_exceptions=True)


@pytest.mark.parametrize(
    "name", [lambda _number: "ada2", lambda number: f"user{number}"], ids=["one", "many"]
)
async def test_login_while_many_fail_elsewhere_does_not_wait(start_daemon, name):
    daemon = await asyncio.to_thread(start_daemon, "--memory", PROA_TRUSTED_PROXIES="127.0.0.1")
    await add_users(daemon, "ada2", "new")
    outcomes: Counter[str] = Counter()
    waited = []
    async with logins(daemon) as login:
        assert await login("ada2", address="198.51.100.1") == "OK"
        async with attack(login, outcomes, name):
            for user, address in [("ada2", "198.51.100.1")] * 3 + [("new", "198.51.100.2")]:
                before = outcomes["UNAUTHENTICATED"]
                assert await login(user, address=address) == "OK"
                waited.append(outcomes["UNAUTHENTICATED"] - before)
    # Those that had begun, one that had waited longest, and what ended beside its own work.
    assert max(waited) <= 8, waited


async def test_login_burst_of_one_user_does_not_delay_another(start_daemon):
    daemon = await asyncio.to_thread(start_daemon, "--memory", PROA_TRUSTED_PROXIES="127.0.0.1")
    await add_users(daemon, "ada2", "new")
    done: list[str] = []
    async with logins(daemon) as login:

        async def one(name: str) -> str:
            outcome = await login(name, address="198.51.100.1")
            done.append(name)
            return outcome

        async with asyncio.TaskGroup() as group:
            burst = [group.create_task(one("ada2")) for _ in range(30)]
            await asyncio.wait(burst, return_when="FIRST_COMPLETED")
            before = len(done)
            other = group.create_task(one("new"))
    assert {task.result() for task in [*burst, other]} == {"OK"}
    assert done.index("new") - before <= 8, done


async def test_login_over_the_queue_is_refused_with_a_retry_delay(start_daemon):
    daemon = await asyncio.to_thread(start_daemon, "--memory")
    outcomes: Counter[str] = Counter()
    async with logins(daemon) as login:
        attempts = {
            asyncio.create_task(login(f"user{number}", "a wrong one", address=""))
            for number in range(200)
        }
        while len(outcomes) < 2:
            done, attempts = await asyncio.wait(attempts, return_when="FIRST_COMPLETED")
            outcomes.update(task.result() for task in done)
        for attempt in attempts:
            attempt.cancel()
        await asyncio.gather(*attempts, return_exceptions=True)
    assert outcomes.keys() == {"RESOURCE_EXHAUSTED", "UNAUTHENTICATED"}
    assert outcomes["RESOURCE_EXHAUSTED"] <= 200 - 128
