"""watch, wait and top: commands that print changes as they happen."""

import json
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from eventually import wait_until


class Shown:
    """A command in a separate process, and the lines that it has written."""

    def __init__(self, *arguments):
        self.lines = []
        self._news = threading.Condition()
        self.process = subprocess.Popen(
            # Tests that run in the background ignore SIGINT.
            [
                "env",
                "--default-signal",
                sys.executable,
                "-c",
                "from proa.cli import main; main()",
                *arguments,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line.rstrip("\n"))
                self._news.notify_all()

    def until(self, wanted, times=1):
        """Wait for a line that matches, and return the line."""

        def found():
            return [line for line in self.lines if re.search(wanted, line)]

        with self._news:
            assert self._news.wait_for(lambda: len(found()) >= times, 30), (wanted, self.lines)
        return found()[times - 1]

    def connected(self):
        """Wait until the command has loaded and gRPC has started its threads."""
        tasks = Path(f"/proc/{self.process.pid}/task")
        wait_until(lambda: len(list(tasks.iterdir())) > 1, "the command has started threads")

    def end(self, number=signal.SIGINT):
        """End the command, and return its exit code and its standard error."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(20)
        self._reader.join()
        assert self.process.stderr is not None
        return code, self.process.stderr.read()


@pytest.fixture
def show(ann):
    shown = []

    def begin(*arguments):
        shown.append(Shown(*arguments))
        return shown[-1]

    yield begin
    for one in shown:
        with one.process:  # closes the pipes
            one.end(signal.SIGKILL)


@pytest.fixture
def container(ann, name):
    ann.ok("run", "--name", name, "--label", f"test={name}", "debian:12", "sleep", "600")
    yield name
    ann.ok("rm", "--force", "--missing-ok", name)


@pytest.fixture
def vm(ann, name):
    ann.ok("vm", "create", f"{name}-vm", "--memory", "1GiB", "--label", f"test={name}", "--start")
    yield f"{name}-vm"
    ann.ok("rm", "--force", "--snapshots", "--saved-state", "--missing-ok", f"{name}-vm")


def test_watch_prints_a_line_per_event(ann, show, container, vm, name):
    watch = show("watch", "--label", f"test={name}")
    watch.until("synced")
    ann.ok("pause", container)
    watch.until(rf"container  {container}  running → paused  by ann$")
    ann.ok("stop", "--mode", "force", vm)
    ann.ok("rm", vm)
    watch.until(rf"removed   domain     {vm}  stopped")
    ann.ok("run", "--name", f"{name}-other", "debian:12")
    ann.ok("rm", "--force", f"{name}-other")
    ann.ok("resume", container)
    watch.until(rf"container  {container}  paused → running  by ann$")
    assert watch.end() == (130, "")
    assert not [line for line in watch.lines if f"{name}-other" in line]
    assert all(re.match(r"\d\d:\d\d:\d\d  ", line) for line in watch.lines)
    first = sorted(line[10:] for line in watch.lines[:2])
    assert first == [
        f"existing  container  {container}  running",
        f"existing  domain     {vm}  running",
    ]


def test_watch_as_json_prints_an_object_per_event(ann, show, container, name):
    watch = show("watch", "--name", name, "-o", "json")
    watch.until('"synced"')
    ann.ok("pause", container)
    watch.until("STATE_PAUSED")
    assert watch.end()[0] == 130
    events = [json.loads(line) for line in watch.lines]
    assert events[0]["change"]["type"] == "CHANGE_TYPE_EXISTING"
    assert events[0]["change"]["resource"]["name"] == container
    assert events[1]["bookmark"] == {"synced": True}
    assert events[-1]["change"] | {"resource": None} == {
        "type": "CHANGE_TYPE_MODIFIED",
        "resource": None,
        "previous_state": "RESOURCE_STATE_RUNNING",
        "cause": "CHANGE_CAUSE_API",
        "actor": "ann",
    }


def test_watch_of_a_state_prints_entering_and_leaving(ann, show, container, name):
    watch = show("watch", "--name", name, "--state", "paused", "--kind", "container")
    watch.until("synced")
    ann.ok("pause", container)
    watch.until(rf"added     container  {container}  running → paused")
    ann.ok("resume", container)
    watch.until(rf"removed   container  {container}  paused → running")


def test_watch_prints_a_running_activity(ann, show, name):
    ann.ok("run", "--name", name, "debian:12", "sleep", "600")
    watch = show("watch", "--name", name)
    watch.until("synced")
    ann.ok("stop", name)
    assert "(stop" in watch.until(r"running \(stop")
    watch.until(r"→ stopped")
    ann.ok("rm", name)


def test_watch_without_a_daemon_exits_with_unavailable(ann):
    assert "Error" in ann.fails(6, "--target", "unix:/nowhere", "watch")


def test_wait_exits_once_the_state_is_reached(ann, show, container):
    assert ann.ok("wait", container, "--state", "running") == f"{container} running\n"
    waiting = show("wait", container, "--state", "PAUSED", "--state", "stopped", "--timeout", "60")
    waiting.connected()
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.process.wait(1)
    ann.ok("pause", container)
    assert waiting.process.wait(20) == 0
    assert waiting.until("") == f"{container} paused"
    assert ann.json("wait", container, "--state", "paused")["name"] == container


def test_wait_past_its_timeout_exits_with_timed_out(ann, container):
    output = ann.fails(8, "wait", container, "--state", "paused", "--timeout", "2s")
    assert f"'{container}' is RUNNING after 2 s" in output
    output = ann.fails(3, "wait", "proa-test-nothing", "--state", "paused")
    assert "RESOURCE_NOT_FOUND" in output
    assert "give one of --state" in ann.fails(2, "wait", container)


def test_wait_for_a_removal_exits_once_removed(ann, show, container):
    waiting = show("wait", container, "--removed")
    in_vain = show("wait", container, "--state", "paused")
    for each in (waiting, in_vain):
        each.connected()
        with pytest.raises(subprocess.TimeoutExpired):
            each.process.wait(1)
    ann.ok("rm", "--force", container)
    assert waiting.process.wait(20) == 0
    assert waiting.until("") == f"{container} removed"
    assert in_vain.process.wait(20) == 5
    assert "CONDITION_IMPOSSIBLE" in in_vain.end()[1]
    assert ann.ok("wait", container, "--removed") == f"{container} removed\n"
    assert ann.json("wait", container, "--removed") == {}


def test_wait_when_interrupted_exits_silently(show, container):
    waiting = show("wait", container, "--state", "paused")
    waiting.connected()
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.process.wait(1)
    assert waiting.end() == (130, "")


def test_top_once_prints_one_table(ann, container, vm):
    heading, *rows = ann.ok("top", "--once", container, vm).splitlines()
    assert heading.split()[:5] == ["NAME", "KIND", "CPU", "%", "MEMORY"]
    assert {row.split()[0] for row in rows} == {container, vm}
    percents = [float(row.split()[2]) for row in rows]
    assert percents == sorted(percents, reverse=True)
    lines = ann.ok("top", "--once", "-o", "json", vm).splitlines()
    [stats] = [json.loads(line) for line in lines]
    assert stats["name"] == vm
    assert "cpu_percent" in stats


def test_top_prints_until_it_is_interrupted(show, container):
    top = show("top", container, "--interval", "1s")
    top.until(container, times=3)
    assert top.end() == (130, "")


def test_top_once_of_an_unknown_resource_exits_with_not_found(ann):
    assert "RESOURCE_NOT_FOUND" in ann.fails(3, "top", "--once", "proa-test-nothing")


def test_rm_with_an_old_etag_exits_with_conflict(ann, container, vm):
    for one in (container, vm):
        old = ann.json("get", one)["etag"]
        ann.ok("pause", one)
        assert "ETAG_MISMATCH" in ann.fails(7, "rm", "--force", "--etag", old, one)
    assert "ETAG_MISMATCH" in ann.fails(7, "update", vm, "--title", "x", "--etag", old)
    new = ann.json("get", vm)["etag"]
    ann.ok("update", vm, "--title", "x", "--etag", new)
    new = ann.json("get", container)["etag"]
    ann.ok("rm", "--force", "--etag", new, container)


def test_update_with_pending_restart_reports_it(ann, vm):
    result = ann.run("update", vm, "--vcpus", "2")
    assert result.exit_code == 0
    changed = ann.json("update", vm, "--vcpus", "3")
    assert changed["restart_required"] == ["vcpus"]
    assert result.stderr == "Warning: takes effect at the next start: vcpus\n"
    assert changed["resource"]["name"] == vm


def test_update_with_options_of_the_other_kind_names_the_kind(ann, container, vm):
    of_vms = ann.fails(2, "update", container, "--vcpus", "2")
    assert f"'{container}' is a container, and these options are of VMs" in of_vms
    of_containers = ann.fails(2, "update", vm, "--cpus", "2")
    assert f"'{vm}' is a virtual machine, and these options are of containers" in of_containers


def test_get_spells_booleans_as_json_does(ann, vm):
    ann.ok("update", vm, "--protect")
    assert "deletion_protection: true" in ann.ok("get", vm).splitlines()
    ann.ok("update", vm, "--no-protect")


def test_host_prints_the_last_synchronization(ann):
    heading, engine = ann.ok("host").splitlines()[1:3]
    assert "SYNCED" in heading
    assert " ago" in engine
