"""What commands on the host write to the audit log while no daemon runs."""

import asyncio
import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from integration.commands.conftest import PROAD
from integration.commands.in_process import give
from proad.audit import HostCalls
from proad.auth.keys import KeyRing
from proad.composition.audit import audit_log
from proad.config import load_settings
from proad.model import AuditFilter, AuditOutcome
from proad.store.database import Database
from proad.timing import DaemonTiming

PASSWORD = "canary-of-a-password"


@pytest.fixture
def proad(environment, url):
    return partial(give, environment)


@pytest.fixture
def small_disk(state):
    """A state folder whose audit log has a file system of its own, of 4 MiB."""
    if os.geteuid():
        pytest.skip("needs root, to mount a file system")
    folder = state / "audit"
    folder.mkdir(parents=True, mode=0o700)
    state.chmod(0o700)
    options = ["-o", "size=4M,mode=0700"]
    subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def lines(state):
    return [
        json.loads(line)
        for path in sorted((state / "audit").glob("*.jsonl"))
        for line in path.read_text().splitlines()
    ]


def told(state):
    """Return command, target, detail and outcome of each command in the log."""
    outcomes = {
        line["intent"]: line["outcome"] for line in lines(state) if line["kind"] == "outcome"
    }
    return [
        (line["method_name"], line.get("target"), line.get("detail"), outcomes[line["sequence"]])
        for line in lines(state)
        if line["kind"] == "intent"
    ]


def test_command_that_changes_something_writes_what(proad, state):
    proad("team", "add", "crew")
    proad("user", "add", "ann", "--scope", "basic", "--password-stdin", stdin=PASSWORD)
    proad("user", "passwd", "ann", "--password-stdin", stdin=f"{PASSWORD}2")
    proad("user", "scopes", "ann", "--scope", "basic", "--scope", "advanced")
    proad("user", "set-profile", "ann", "default")
    proad("user", "set-access", "ann", "team", "--team", "crew")
    proad("quota", "set", "ann", "cpus=1.5")
    secret = proad("key", "create", "ann", "--name", "ci", "--scope", "basic").strip()
    proad("key", "revoke", "ann", "ci")
    proad("user", "disable", "ann")
    proad("user", "enable", "ann")
    proad("user", "rename", "ann", "anna")
    proad("user", "remove", "anna")
    proad("team", "rename", "crew", "cast")
    proad("team", "remove", "cast")
    proad("init", "--rotate-key")

    done = "SUCCEEDED"
    assert told(state) == [
        ("proad team add", "crew", None, done),
        ("proad user add", "ann", "added with scope basic and access all, profile default", done),
        ("proad user passwd", "ann", None, done),
        ("proad user scopes", "ann", "now has scope basic and advanced", done),
        ("proad user set-profile", "ann", "now has profile default", done),
        ("proad user set-access", "ann", "now has access team in team crew", done),
        ("proad quota set", "ann", "cpus=1.5", done),
        ("proad key create", "ann", "key ci with basic, access all, ends 365d", done),
        ("proad key revoke", "ann", "key ci", done),
        ("proad user disable", "ann", None, done),
        ("proad user enable", "ann", None, done),
        ("proad user rename", "ann", "is now anna", done),
        ("proad user remove", "anna", None, done),
        ("proad team rename", "crew", "is now cast", done),
        ("proad team remove", "cast", None, done),
        ("proad init --rotate-key", None, None, done),
    ]
    assert all(line["peer"].startswith("host:") for line in lines(state) if "peer" in line)
    text = "".join(path.read_text() for path in (state / "audit").iterdir())
    assert PASSWORD not in text
    assert secret not in text
    assert proad("audit", "verify").startswith("intact: lines 1 to ")


def test_command_that_reads_writes_nothing(proad, state):
    proad("init")
    for command in (["user", "list"], ["team", "list"], ["key", "list"], ["check-config"]):
        proad(*command)
    assert lines(state) == []


def test_command_that_fails_writes_that_it_did(proad, state):
    proad("user", "disable", "nobody", code=1)
    assert told(state) == [("proad user disable", "nobody", None, "FAILED")]
    assert proad("audit", "verify").startswith("intact")


def test_command_with_an_argument_that_is_no_utf8_is_refused_before_anything(state, environment):
    done = subprocess.run(
        [*PROAD, "user", "disable", b"J\xe9r\xf4me"],
        env=environment,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, lines(state)) == (1, [])
    assert (
        done.stderr
        == b"proad: argument b'J\\xe9r\\xf4me' is not UTF-8; set the terminal to UTF-8\n"
    )


def test_commands_at_once_are_all_in_one_chain(proad, state, environment):
    proad("init")
    names = ["crew", "cast", "staff"]

    def add(name):
        subprocess.run([*PROAD, "team", "add", name], env=environment, check=True)

    with ThreadPoolExecutor(len(names)) as threads:
        list(threads.map(add, names))
    assert {target for _, target, _, outcome in told(state) if outcome == "SUCCEEDED"} == {*names}
    assert proad("audit", "verify").startswith("intact")


def test_command_on_a_full_disk_changes_nothing(proad, small_disk):
    proad("team", "add", "crew")
    (file,) = small_disk.glob("*.jsonl")
    # The last block of the file has room yet.
    room = -file.stat().st_size % os.statvfs(small_disk).f_bsize
    filler = small_disk / "filler"
    with pytest.raises(OSError, match="No space left"):
        filler.write_bytes(bytes(8 * 2**20))
    for _ in range(room // 300 + 1):
        proad("team", "rename", "crew", "crew", code=None)
    assert "cannot write its audit log" in proad("team", "add", "cast", code=1)
    filler.unlink()
    assert "cast" not in proad("team", "list")
    proad("team", "add", "cast")
    assert proad("audit", "verify").startswith("intact")


def test_command_after_a_torn_line_takes_it_away_and_says_so(proad, state):
    proad("team", "add", "crew")
    (file,) = (state / "audit").glob("*.jsonl")
    with file.open("ab") as end:
        end.write(b'{"sequence":')
    proad("audit", "verify", code=3)
    proad("team", "add", "cast")
    assert "bytes of a line that was not written to its end" in proad("audit", "verify")


def test_cut_tail_is_found_after_a_command_alone(proad, state):
    proad("team", "add", "crew")
    (file,) = (state / "audit").glob("*.jsonl")
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-1]))
    assert "cut: " in proad("audit", "verify", code=4)
    proad("team", "add", "cast")
    assert "were missing at the start" in proad("audit", "verify", code=4)


def test_command_that_was_killed_has_an_outcome_after_the_next_start(
    proad, state, url, monkeypatch
):
    proad("team", "add", "crew")
    (file,) = (state / "audit").glob("*.jsonl")
    monkeypatch.setenv("PROA_STATE_DIR", str(state))
    settings = load_settings(None)

    async def died_and_started():
        keys = KeyRing.open(settings.keys_dir)
        timing = DaemonTiming().audit
        async with Database.open(url) as database:

            async def known(_entry):
                return None

            log = audit_log(settings, database, keys, timing, os.fdatasync)
            async with log.opened(known):
                await HostCalls(log).begin("proad team remove", "crew", "", "host:root")
            log = audit_log(settings, database, keys, timing, os.fdatasync)
            async with log.opened(known):
                return await log.page(AuditFilter(resource="crew"), most=10)

    last, first = asyncio.run(died_and_started())
    assert (last.method_name, last.outcome) == ("proad team remove", AuditOutcome.UNKNOWN)
    assert (first.method_name, first.outcome) == ("proad team add", AuditOutcome.SUCCEEDED)
    assert file.exists()
