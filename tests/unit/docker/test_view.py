"""Views of answers that a real engine cannot easily be brought to give."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from proad.drivers.docker.labels import CREATION_LABEL, LIFETIME_LABEL
from proad.model import (
    HealthStatus,
    Lifetime,
    ResourceState,
    RestartPolicy,
    RestartPolicyMode,
    StateReason,
)
from resource_details import container_of, spec_of
from unit.docker.engine_answers import NEVER, full, inspected, listed, summary


@pytest.mark.parametrize(
    ("state", "expected", "reason", "code"),
    [
        ({"Status": "created"}, ResourceState.STOPPED, StateReason.NEVER_STARTED, None),
        ({"Status": "running"}, ResourceState.RUNNING, None, None),
        ({"Status": "paused", "Paused": True}, ResourceState.PAUSED, StateReason.USER, None),
        # The flags overlap, and an old engine's Status may lag behind them.
        ({"Status": "running", "Paused": True}, ResourceState.PAUSED, StateReason.USER, None),
        (
            {"Status": "restarting", "Running": True, "Restarting": True, "ExitCode": 7},
            ResourceState.STARTING,
            StateReason.RESTARTING,
            7,
        ),
        ({"Status": "removing", "ExitCode": 7}, ResourceState.REMOVING, None, None),
        ({"Status": "exited", "ExitCode": 0}, ResourceState.STOPPED, StateReason.COMPLETED, 0),
        ({"Status": "exited", "ExitCode": 1}, ResourceState.STOPPED, StateReason.ERROR, 1),
        ({"Status": "exited", "ExitCode": 137}, ResourceState.STOPPED, StateReason.KILLED, 137),
        (
            {"Status": "exited", "ExitCode": 137, "OOMKilled": True},
            ResourceState.STOPPED,
            StateReason.OOM_KILLED,
            137,
        ),
        # A child was killed, and the container kept running.
        (
            {"Status": "exited", "ExitCode": 0, "OOMKilled": True},
            ResourceState.STOPPED,
            StateReason.COMPLETED,
            0,
        ),
        (
            {"Status": "exited", "ExitCode": 1, "OOMKilled": True},
            ResourceState.STOPPED,
            StateReason.ERROR,
            1,
        ),
        ({"Status": "dead", "ExitCode": 1}, ResourceState.FAILED, StateReason.ERROR, 1),
    ],
)
def test_view_state_matches_docker_state(
    state: dict[str, Any],
    expected: ResourceState,
    reason: StateReason | None,
    code: int | None,
):
    resource = full(inspected(State={"ExitCode": 0, "Running": False, **state}))
    detail = resource.state_detail
    assert (resource.state, detail.reason, detail.exit_code) == (expected, reason, code)
    assert detail.oom_killed is state.get("OOMKilled", False)
    short = summary(listed(State=state["Status"])).state
    if not state.get("Paused"):
        assert short is expected


def test_view_times_and_texts_are_parsed():
    state = {
        "StartedAt": "2026-01-02T03:04:06.5Z",
        "FinishedAt": NEVER,
        "Error": "no such device",
    }
    resource = full(inspected(State=state))
    assert resource.create_time == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert resource.state_detail.start_time == datetime(2026, 1, 2, 3, 4, 6, 500000, UTC)
    assert resource.state_detail.finish_time is None
    assert resource.state_detail.message == "no such device"
    assert summary(listed()).create_time == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_view_hides_own_labels():
    labels = {"a": "b", CREATION_LABEL: "1", LIFETIME_LABEL: "TRANSIENT"}
    assert summary(listed(Labels=labels)).labels == {"a": "b"}
    assert full(inspected(Config={"Labels": labels})).labels == {"a": "b"}


def test_view_hides_all_labels_with_the_reserved_prefix_alone():
    labels = {"proa.driver.later": "1", "proa.driver.": "2"}
    shown = {"proa.driver": "3", "proa.drivers": "4", "x.proa.driver.": "5"}
    assert summary(listed(Labels=labels | shown)).labels == shown
    assert full(inspected(Config={"Labels": labels | shown})).labels == shown


def test_full_view_has_lifetime():
    assert full(inspected(HostConfig={"AutoRemove": True})).lifetime is Lifetime.TRANSIENT
    assert full(inspected()).lifetime is Lifetime.PERSISTENT


@pytest.mark.parametrize(
    ("labels", "lifetime"),
    [
        ({LIFETIME_LABEL: "TRANSIENT sha256:1"}, Lifetime.TRANSIENT),
        ({LIFETIME_LABEL: "PERSISTENT sha256:1"}, Lifetime.PERSISTENT),
        # The container has this label from its image, which was made of another container.
        ({LIFETIME_LABEL: "TRANSIENT sha256:2"}, None),
        ({LIFETIME_LABEL: "TRANSIENT"}, None),
        ({LIFETIME_LABEL: "for ever sha256:1"}, None),
        ({}, None),
    ],
)
def test_summary_reads_lifetime_from_own_label(labels: dict[str, str], lifetime: Lifetime | None):
    assert summary(listed(Labels=labels)).lifetime is lifetime


def test_summary_does_not_change_with_time():
    assert summary(listed()) == summary(listed(Status="Up 4 seconds"))


def test_summary_leaves_link_names_out():
    assert summary(listed(Names=["/other/db", "/web"])).name == "web"
    assert summary(listed(Names=None)).name == ""


def test_summary_does_not_guess_command():
    assert container_of(summary(listed(Command="sh -c 'exit 3'"))).command == ()


def test_view_with_unreadable_part_keeps_the_rest():
    odd = inspected(
        State={"Status": "running", "ExitCode": "?", "StartedAt": "yesterday", "Pid": -5},
        HostConfig={
            "Memory": "much",
            "Ulimits": [{"Name": "nofile", "Soft": 2**70, "Hard": 1}, None],
            "PortBindings": {"x/tcp": [{}], "80/quic": [{}], "81/tcp": None, "82/tcp": [{}]},
            "CpuQuota": 1e400,
        },
        Config={"Labels": {"a": 1, "b": "c"}, "Env": 5, "StopTimeout": -1, "Tty": "yes"},
        NetworkSettings={"Networks": {"n": "none", "m": {"IPAddress": "192.0.2.1"}}},
    )
    resource = full(odd)
    container = container_of(resource)
    assert (resource.name, resource.state) == ("web", ResourceState.RUNNING)
    assert resource.state_detail.start_time is None
    assert resource.labels == {"b": "c"}
    asked = spec_of(resource)
    assert (container.pid, asked.resources.memory_bytes, asked.ulimits) == (0, 0, ())
    assert [port.container_port for port in asked.ports] == [80, 82]
    assert asked.stop_timeout == timedelta(seconds=-1)
    assert [network.network for network in container.networks] == ["m", "n"]
    assert not asked.tty


def test_view_of_unknown_state_is_other_with_message():
    for resource in (full(inspected(State={"Status": "melted"})), summary(listed(State="melted"))):
        assert resource.state is ResourceState.OTHER
        assert "not known" in resource.state_detail.message


def test_view_shows_limits_set_externally():
    host = {"CpuQuota": 150_000, "CpuPeriod": 100_000, "PidsLimit": -1}
    resources = spec_of(full(inspected(HostConfig=host))).resources
    assert (resources.cpus, resources.pids_limit) == (1.5, 0)


@pytest.mark.parametrize(
    ("health", "expected"),
    [
        (None, None),
        ({"Status": "none"}, None),
        ({"Status": "starting"}, HealthStatus.STARTING),
        ({"Status": "unhealthy"}, HealthStatus.UNHEALTHY),
        ({"Status": "poorly"}, HealthStatus.OTHER),
    ],
)
def test_view_health_is_read(health: dict[str, str] | None, expected: HealthStatus | None):
    assert container_of(full(inspected(State={"Health": health}))).health is expected


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (None, RestartPolicy()),
        ({"Name": "", "MaximumRetryCount": 0}, RestartPolicy()),
        (
            {"Name": "on-failure", "MaximumRetryCount": 3},
            RestartPolicy(mode=RestartPolicyMode.ON_FAILURE, max_retries=3),
        ),
        (
            {"Name": "unless-stopped", "MaximumRetryCount": 0},
            RestartPolicy(mode=RestartPolicyMode.UNLESS_STOPPED),
        ),
        ({"Name": "on-sundays"}, RestartPolicy(mode=RestartPolicyMode.OTHER)),
    ],
)
def test_view_restart_policy_is_read(policy: dict[str, Any] | None, expected: RestartPolicy):
    asked = spec_of(full(inspected(HostConfig={"RestartPolicy": policy})))
    assert asked.restart_policy == expected


def test_view_stop_timeout_is_read():
    assert spec_of(full(inspected())).stop_timeout is None
    zero = full(inspected(Config={"StopTimeout": 0}))
    assert spec_of(zero).stop_timeout == timedelta(0)


def test_view_environment_is_read():
    env = ["A=b=c", "EMPTY=", "UNSET", "C=1", "C=2", "D", "D=1"]
    assert container_of(full(inspected(Config={"Env": env}))).env == {
        "A": "b=c",
        "EMPTY": "",
        "C": "2",
        "D": "1",
    }


@pytest.mark.parametrize(
    ("state", "status", "reason", "code"),
    [
        ("exited", "Exited (0) 5 minutes ago", StateReason.COMPLETED, 0),
        ("exited", "Exited (3) Less than a second ago", StateReason.ERROR, 3),
        ("exited", "Exited (137) 2 weeks ago", None, 137),
        ("exited", "Exited (-1) 1 second ago", StateReason.ERROR, -1),
        ("exited", "an engine of others", None, None),
        ("restarting", "Restarting (4) 1 second ago", StateReason.RESTARTING, 4),
        ("running", "Up 2 hours (healthy)", None, None),
        ("running", "Up (137) hours", None, None),
        ("created", "Created", StateReason.NEVER_STARTED, None),
        ("dead", "Dead", StateReason.ERROR, None),
    ],
)
def test_summary_has_exit_code(
    state: str, status: str, reason: StateReason | None, code: int | None
):
    detail = summary(listed(State=state, Status=status)).state_detail
    assert (detail.reason, detail.exit_code, detail.message) == (reason, code, "")


def test_summary_is_independent_of_time_and_order():
    ports = [
        {"IP": ip, "PrivatePort": 80, "PublicPort": port, "Type": "tcp"}
        for ip in ("0.0.0.0", "::")
        for port in (8080, 8081)
    ]
    mounts = [
        {"Type": "volume", "Name": name, "Destination": f"/{name}", "RW": True} for name in "abc"
    ]
    networks = {name: {"IPAddress": f"192.0.2.{number}"} for number, name in enumerate("xyz")}
    one = listed(
        Status="Up 1 second",
        Ports=ports,
        Mounts=mounts,
        NetworkSettings={"Networks": networks},
        Names=["/web", "/other/alias"],
    )
    other = listed(
        Status="Up 9 days",
        Ports=ports[::-1],
        Mounts=mounts[::-1],
        NetworkSettings={"Networks": dict(reversed(networks.items()))},
        Names=["/other/alias", "/web"],
    )
    assert summary(one) == summary(other)
    assert summary(one).name == "web"
    assert [port.host_port for port in container_of(summary(one)).ports] == [8080, 8081]
