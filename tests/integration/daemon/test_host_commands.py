"""Commands on the host while a daemon runs, starts or stops: it writes their lines."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import proa
from integration.commands.in_process import give
from integration.daemon.conftest import Daemon
from proa import v1
from proad.control import ask
from proad.errors import SetupError


def proad(daemon: Daemon, *arguments: str) -> str:
    return give(daemon.environment, *arguments)


def commands(daemon: Daemon) -> list[tuple[str, str, str]]:
    """Return command, target and outcome of what the log has of commands, the oldest first."""
    with daemon.client() as client:
        found = [each for each in client.list_audit_entries() if not each.username]
    assert all(each.peer.startswith("host:") for each in found)
    return [
        (
            each.method_name,
            each.target,
            v1.AuditOutcome.Name(each.outcome).removeprefix("AUDIT_OUTCOME_"),
        )
        for each in reversed(found)
    ]


def test_command_beside_a_daemon_is_in_its_log(daemon_on_each_database: Daemon) -> None:
    daemon = daemon_on_each_database
    with daemon.client() as client:
        list(client.images.PullImage(v1.PullImageRequest(image="busybox:1")))
        spec = v1.ContainerSpec(image="busybox:1", name="web")
        client.containers.CreateContainer(v1.CreateContainerRequest(spec=spec))
    proad(daemon, "team", "add", "crew")
    proad(daemon, "user", "set-access", "eve", "team", "--team", "crew")
    proad(daemon, "owner", "set", "web", "crew")
    proad(daemon, "reload")
    assert commands(daemon) == [
        ("proad team add", "crew", "SUCCEEDED"),
        ("proad user set-access", "eve", "SUCCEEDED"),
        ("proad owner set", "web", "SUCCEEDED"),
        ("proad reload", "", "SUCCEEDED"),
    ]
    daemon.stop()
    proad(daemon, "user", "disable", "eve")
    assert proad(daemon, "audit", "verify").startswith("intact: ")
    daemon.start()
    assert commands(daemon)[-1] == ("proad user disable", "eve", "SUCCEEDED")


def test_commands_while_a_daemon_stops_and_starts_all_succeed_in_one_chain(
    start_daemon: Callable[..., Daemon],
) -> None:
    daemon = start_daemon("--memory")
    given: list[str] = []
    restarted = False

    def restart() -> None:
        nonlocal restarted
        try:
            daemon.stop()
            daemon.start()
        finally:
            restarted = True

    with ThreadPoolExecutor(1) as thread:
        restarting = thread.submit(restart)
        while not restarted:
            given.append(f"crew{len(given)}")
            proad(daemon, "team", "add", given[-1])
        restarting.result()
    assert {target for _, target, _ in commands(daemon)} == {*given}
    assert {outcome for *_, outcome in commands(daemon)} <= {"SUCCEEDED", "UNKNOWN"}
    assert proad(daemon, "audit", "verify").startswith("intact: ")


def test_command_with_long_words_is_in_the_log_whole_or_refused(
    start_daemon: Callable[..., Daemon],
) -> None:
    daemon = start_daemon("--memory")
    state = Path(daemon.environment["PROA_STATE_DIR"])
    long = "crew" * 25_000  # a word of a command line may have as much
    begun = ask(state, "audit-begin", "proad team add", "crew", long, "host:root")
    ask(state, "audit-end", begun["call"], "OK", "")
    assert commands(daemon) == [("proad team add", "crew", "SUCCEEDED")]
    assert long in "".join(each.read_text() for each in (state / "audit").iterdir())
    with pytest.raises(SetupError, match="too long"):
        ask(state, "audit-begin", "proad team add", "crew", long * 20, "host:root")
    assert proad(daemon, "audit", "verify").startswith("intact: ")


def test_words_that_no_database_takes_are_indexed_and_keep_no_daemon_from_its_start(
    daemon_on_each_database: Daemon,
) -> None:
    daemon = daemon_on_each_database
    state = Path(daemon.environment["PROA_STATE_DIR"])
    begun = ask(state, "audit-begin", "proad team add", "cr\udce9w", "", "host:root")
    ask(state, "audit-end", begun["call"], "OK", "")
    with daemon.client() as client, pytest.raises(proa.InvalidArgument):
        client.resources.StopResource(v1.StopResourceRequest(id="cr\0w"))
    assert commands(daemon) == [("proad team add", "cr?w", "SUCCEEDED")]
    assert daemon.stop() == 0
    proad(daemon, "team", "add", "crew")
    daemon.start()
    assert commands(daemon)[-1] == ("proad team add", "crew", "SUCCEEDED")
    assert proad(daemon, "audit", "verify").startswith("intact: ")


def test_command_about_what_is_missing_names_commands(start_daemon: Callable[..., Daemon]) -> None:
    daemon = start_daemon("--memory")
    for missing, shown in [("nothing", "proa ls --all"), ("volume/nothing", "proa volumes ls")]:
        text = give(daemon.environment, "owner", "set", missing, "ada", code=1)
        assert f"'nothing'; '{shown}' shows what there is" in text
