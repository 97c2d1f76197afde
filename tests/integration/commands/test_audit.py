"""`proad audit verify`: its exit codes, and what it says."""

import asyncio

import pytest

from proad.audit import AuditOptions, LogWriter
from proad.audit.chain import content
from proad.auth.keys import KeyRing
from proad.state import daemon_id
from proad.store.audit import AuditStore
from proad.store.database import Database


@pytest.fixture
def log(url, given, state):
    """The files of a log whose head the database knows."""
    given("init")
    daemon = daemon_id(state)
    options = AuditOptions(file_bytes=1000, reserved_bytes=0)
    keys = KeyRing.open(state / "keys").derived("audit log")
    writer = LogWriter(state / "audit", keys, daemon, options)
    writer.load(None)
    for number in range(10):
        writer.next()
        writer.write([content({"kind": "note", "number": number})])
        writer.sync()
    writer.close()

    async def save():
        async with Database.open(url) as database:
            await AuditStore(database, daemon).save(writer.head, [], [])

    asyncio.run(save())
    return sorted((state / "audit").iterdir())


def test_verify_untouched_log_is_intact(proad, log):
    assert proad("audit", "verify").startswith("intact: lines 1 to ")


def test_verify_before_any_call_is_intact(proad, given):
    given("init")
    assert "intact" in proad("audit", "verify")


def test_verify_without_a_state_folder_says_so(proad):
    assert "there is no state folder" in proad("audit", "verify", code=1)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda data: data + b'{"sequence":1', 3),
        (lambda data: b"".join(data.splitlines(keepends=True)[:-1]), 4),
        (lambda data: data.replace(b"note", b"nota", 1), 5),
    ],
    ids=["torn", "cut", "changed"],
)
def test_verify_tells_the_kind_of_damage_by_its_exit_code(proad, log, change, code):
    log[-1].write_bytes(change(log[-1].read_bytes()))

    proad("audit", "verify", code=code)


def test_verify_with_a_lost_key_cannot_check_the_last_file(proad, log, state):
    for _ in range(2):
        KeyRing.rotate(state / "keys")

    proad("audit", "verify", code=6)
