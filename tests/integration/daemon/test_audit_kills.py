"""The audit log after `kill -9` at each point of a call."""

import asyncio
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

import proa
from eventually import wait_until
from proa import v1
from proad.audit import Damage, verify
from proad.auth.keys import KeyRing
from proad.auth.passwords import Passwords
from proad.model.scope import Scope
from proad.state import daemon_id
from proad.store.audit import AuditStore
from proad.store.database import Database
from proad.store.users import UserStore

PROGRAM = Path(__file__).with_name("dying_audited.py")
TESTS = Path(__file__).parents[2]


@pytest.fixture
def state(tmp_path):
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)

    async def fill():
        async with Database.open(f"sqlite:///{folder}/proa.db") as database:
            with Passwords(cost=4) as passwords:
                hashed = await passwords.hash("correct horse")
            await UserStore(database).add("ann", hashed, list(Scope))

    asyncio.run(fill())
    KeyRing.open(folder / "keys")
    return folder


@contextmanager
def daemon(state, point):
    process = subprocess.Popen(
        [sys.executable, PROGRAM, state, point],
        stdout=subprocess.PIPE,
        text=True,
        cwd=TESTS,
        env={"PYTHONPATH": str(TESTS)},
    )
    assert process.stdout is not None
    try:
        address = ""
        while not address.startswith("127."):
            address = process.stdout.readline().strip()
        with proa.connect(
            address, username="ann", password="correct horse", request_ids=False
        ) as client:
            yield process, client
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


def head_of(state):
    async def read():
        async with Database.open(f"sqlite:///{state}/proa.db") as database:
            return await AuditStore(database, daemon_id(state)).head()

    return asyncio.run(read())


def check(state):
    keys = KeyRing.open(state / "keys").derived("audit log")
    return verify(state / "audit", keys, daemon_id(state), head_of(state))


UNKNOWN, FAILED, SUCCEEDED = (
    v1.AUDIT_OUTCOME_UNKNOWN,
    v1.AUDIT_OUTCOME_FAILED,
    v1.AUDIT_OUTCOME_SUCCEEDED,
)


@pytest.mark.parametrize(
    ("point", "with_id", "outcomes"),
    [
        ("before sync", False, {UNKNOWN}),
        # The record of the request is stored beside the sync: it may be there, or not yet.
        ("after sync", True, {UNKNOWN, FAILED}),
        ("before engine", False, {UNKNOWN}),
        # The engine was in memory, and what was paused is no more: the judge tells that.
        ("after engine", True, {FAILED}),
        ("after answer", True, {SUCCEEDED}),
    ],
)
def test_kill_intent_is_kept_and_its_outcome_told_as_far_as_it_is_known(
    state, point, with_id, outcomes
):
    id = str(uuid4()) if with_id else ""
    with daemon(state, point) as (process, client):
        spec = v1.ContainerSpec(image="proa-test/busybox:1", name="web")
        client.containers.CreateContainer(v1.CreateContainerRequest(spec=spec, start=True))
        with pytest.raises(proa.Error):
            client.resources.PauseResource(
                v1.PauseResourceRequest(id="web", request_id=id), timeout=20
            )
        assert process.wait(30) == -9
    assert check(state).damage in {None, Damage.TORN}

    with daemon(state, "never") as (_, client):

        def pause():
            found = list(client.list_audit_entries())
            names = [entry.method_name.rpartition("/")[2] for entry in found]
            assert names[-3:] == ["PauseResource", "CreateContainer", "CreateToken"]
            return found[-3]

        wait_until(lambda: pause().outcome in outcomes, lambda: str(pause()))
        assert (pause().target, pause().username, pause().request_id) == ("web", "ann", id)
    assert check(state).damage is None
