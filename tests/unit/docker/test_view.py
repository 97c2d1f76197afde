"""Answers of the Engine API that a test cannot easily bring a real engine to give."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from proad.drivers.docker.labels import CREATION_LABEL
from proad.model import (
    BindMount,
    HealthStatus,
    Lifetime,
    Mount,
    NetworkAttachment,
    PortProtocol,
    PublishedPort,
    ResourceState,
    RestartPolicy,
    RestartPolicyMode,
    StateReason,
    TmpfsMount,
    VolumeMount,
)
from unit.docker.said import ID, full, summary

NEVER = "0001-01-01T00:00:00Z"


def inspected(**parts: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "Id": ID,
        "Created": "2026-01-02T03:04:05.123456789Z",
        "Path": "sleep",
        "Args": ["1"],
        "Name": "/web",
        "Image": "sha256:1",
        "State": {"Status": "running", "Running": True, "ExitCode": 0, "StartedAt": NEVER},
        "HostConfig": {},
        "Config": {"Image": "debian:12"},
        "NetworkSettings": {},
    }
    for key, part in parts.items():
        answer[key] = {**answer.get(key, {}), **part}
    return answer


def listed(**parts: Any) -> dict[str, Any]:
    return {
        "Id": ID,
        "Names": ["/web"],
        "Image": "debian:12",
        "ImageID": "sha256:1",
        "Command": "sleep 1",
        "Created": 1_767_323_045,
        "State": "running",
        "Status": "Up 3 seconds",
        **parts,
    }


@pytest.mark.parametrize(
    ("state", "expected", "reason", "code"),
    [
        ({"Status": "created"}, ResourceState.STOPPED, StateReason.NEVER_STARTED, None),
        ({"Status": "running"}, ResourceState.RUNNING, None, None),
        ({"Status": "paused", "Paused": True}, ResourceState.PAUSED, StateReason.USER, None),
        # The flags overlap; an old engine's Status may lag behind them.
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
        # A child was killed, and the container went on.
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
def test_states(
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


def test_times_and_words():
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


def test_own_labels_are_hidden():
    labels = {"a": "b", CREATION_LABEL: "1"}
    assert summary(listed(Labels=labels)).labels == {"a": "b"}
    assert full(inspected(Config={"Labels": labels})).labels == {"a": "b"}


def test_labels_of_others_are_shown_whatever_they_begin_with():
    labels = {"proa.driver.mine": "1", "proa.driver.": "2"}
    assert summary(listed(Labels=labels)).labels == labels
    assert full(inspected(Config={"Labels": labels})).labels == labels


def test_lifetimes():
    assert full(inspected(HostConfig={"AutoRemove": True})).lifetime is Lifetime.TRANSIENT
    assert full(inspected()).lifetime is Lifetime.PERSISTENT
    assert summary(listed(), Lifetime.TRANSIENT).lifetime is Lifetime.TRANSIENT


def test_a_summary_does_not_change_with_the_clock():
    assert summary(listed()) == summary(listed(Status="Up 4 seconds"))


def test_names_of_links_are_left_out():
    assert summary(listed(Names=["/other/db", "/web"])).name == "web"
    assert summary(listed(Names=None)).name == ""


def test_a_command_is_not_guessed_from_its_joined_words():
    assert summary(listed(Command="sh -c 'exit 3'")).container.command == ()


def test_ports_that_are_not_published_are_left_out():
    ports = [{"PrivatePort": 80, "Type": "tcp"}]
    assert summary(listed(Ports=ports)).container.ports == ()
    asked = inspected(NetworkSettings={"Ports": {"80/tcp": None}})
    assert full(asked).container.ports == ()


def test_ports_on_all_addresses_are_one():
    udp = PublishedPort(container_port=53, host_port=4053, protocol=PortProtocol.UDP)
    bindings = [{"HostIp": "0.0.0.0", "HostPort": "4053"}, {"HostIp": "::", "HostPort": "4053"}]
    long = full(inspected(NetworkSettings={"Ports": {"53/udp": bindings}}))
    assert long.container.ports == (udp,)
    short = summary(
        listed(
            Ports=[
                {"IP": ip, "PrivatePort": 53, "PublicPort": 4053, "Type": "udp"}
                for ip in ("0.0.0.0", "::")
            ]
        )
    )
    assert short.container.ports == (udp,)
    one = full(inspected(NetworkSettings={"Ports": {"53/udp": bindings[:1]}}))
    assert one.container.ports == (replace(udp, host_ip="0.0.0.0"),)


def test_protocol_that_is_not_known_is_other():
    port = PublishedPort(container_port=53, host_port=4053, protocol=PortProtocol.OTHER)
    listed_port = {"PrivatePort": 53, "PublicPort": 4053, "Type": "quic", "IP": ""}
    assert summary(listed(Ports=[listed_port])).container.ports == (port,)
    bindings = {"53/quic": [{"HostIp": "", "HostPort": "4053"}]}
    shown = full(
        inspected(NetworkSettings={"Ports": bindings}, HostConfig={"PortBindings": bindings})
    ).container
    assert shown.ports == shown.requested_ports == (port,)


def test_range_of_host_ports_is_left_to_docker():
    """`-p 48000-48010:80`: until it starts, no port is known, and none is published."""
    bindings = {
        "80/tcp": [{"HostIp": "", "HostPort": "48000-48010"}],
        "81/tcp": [{"HostIp": "", "HostPort": "8081"}],
        "82/tcp": [{"HostIp": "", "HostPort": "0"}],
    }
    resource = full(inspected(HostConfig={"PortBindings": bindings}))
    assert resource.container.ports == ()
    assert [(p.container_port, p.host_port) for p in resource.container.requested_ports] == [
        (80, None),
        (81, 8081),
        (82, None),
    ]


def test_part_that_cannot_be_read_leaves_the_rest():
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
    container = resource.container
    assert (resource.name, resource.state) == ("web", ResourceState.RUNNING)
    assert resource.state_detail.start_time is None
    assert resource.labels == {"b": "c"}
    assert (container.pid, container.resources.memory_bytes, container.ulimits) == (0, 0, ())
    assert [port.container_port for port in container.requested_ports] == [80, 82]
    assert container.stop_timeout == timedelta(seconds=-1)
    assert [network.network for network in container.networks] == ["m", "n"]
    assert not container.tty


def test_state_that_is_not_known_is_other_and_says_so():
    for resource in (full(inspected(State={"Status": "melted"})), summary(listed(State="melted"))):
        assert resource.state is ResourceState.OTHER
        assert "not known" in resource.state_detail.message


def test_mounts_of_every_kind():
    item = inspected(
        HostConfig={
            "Mounts": [
                {"Target": "/t", "Type": "tmpfs", "TmpfsOptions": {"SizeBytes": 9, "Mode": 448}}
            ],
            "Tmpfs": {"/run": "rw"},
        }
    )
    memory = {"Type": "tmpfs", "Source": "", "Destination": "/t", "RW": True}
    item["Mounts"] = [
        {"Type": "bind", "Source": "/srv", "Destination": "/b", "RW": False},
        {"Type": "volume", "Name": "data", "Destination": "/v", "RW": True},
        {"Type": "npipe", "Source": "x", "Destination": "/p", "RW": True},
        memory,
        {**memory, "Destination": "/u"},
    ]
    assert full(item).container.mounts == (
        Mount(target="/b", bind=BindMount(source="/srv"), read_only=True),
        Mount(target="/p"),
        Mount(target="/run", tmpfs=TmpfsMount()),
        Mount(target="/t", tmpfs=TmpfsMount(size_bytes=9, mode=448)),
        Mount(target="/u", tmpfs=TmpfsMount()),
        Mount(target="/v", volume=VolumeMount(name="data")),
    )
    short = summary(listed(Mounts=item["Mounts"])).container.mounts
    assert short == tuple(m for m in full(item).container.mounts if m.tmpfs is None)


@pytest.mark.parametrize(
    ("options", "size", "mode", "read_only"),
    [
        ("", 0, 0, False),
        ("size=64m,mode=1777", 64 * 2**20, 0o1777, False),
        ("ro,noexec,size=1G", 2**30, 0, True),
        ("ro,rw,size=1k,size=100,mode=0700", 100, 0o700, False),
        ("size=50%", 0, 0, False),
        ("size=much,mode=rwx", 0, 0, False),
        (f"size={2**63}e", 2**63 - 1, 0, False),
    ],
)
def test_options_of_memory(options: str, size: int, mode: int, *, read_only: bool):
    found = full(inspected(HostConfig={"Tmpfs": {"/t": options}})).container.mounts
    memory = TmpfsMount(size_bytes=size, mode=mode)
    assert found == (Mount(target="/t", read_only=read_only, tmpfs=memory),)


def test_a_network_of_a_stopped_one_shows_what_was_asked_for():
    endpoint = {
        "IPAMConfig": {"IPv4Address": "192.0.2.5"},
        "IPAddress": "",
        "Aliases": ["db", ID[:12]],
    }
    networks = full(inspected(NetworkSettings={"Networks": {"x": endpoint}})).container.networks
    assert networks == (NetworkAttachment(network="x", aliases=("db",), ipv4_address="192.0.2.5"),)


def test_network_of_another_container_is_shown():
    mode = {"NetworkMode": f"container:{'cd' * 32}"}
    shown = (NetworkAttachment(network=mode["NetworkMode"]),)
    assert full(inspected(HostConfig=mode)).container.networks == shown
    assert summary(listed(HostConfig=mode)).container.networks == shown


def test_network_in_a_summary_has_no_aliases():
    networks = {"Networks": {"x": {"Aliases": ["db"], "IPAddress": "192.0.2.5"}}}
    found = summary(listed(NetworkSettings=networks)).container.networks
    assert found == (NetworkAttachment(network="x", ipv4_address="192.0.2.5"),)


def test_limits_set_by_others():
    host = {"CpuQuota": 150_000, "CpuPeriod": 100_000, "PidsLimit": -1}
    resources = full(inspected(HostConfig=host)).container.resources
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
def test_health(health: dict[str, str] | None, expected: HealthStatus | None):
    assert full(inspected(State={"Health": health})).container.health is expected


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
def test_restart_policies(policy: dict[str, Any] | None, expected: RestartPolicy):
    assert (
        full(inspected(HostConfig={"RestartPolicy": policy})).container.restart_policy == expected
    )


def test_stop_timeout():
    assert full(inspected()).container.stop_timeout is None
    zero = full(inspected(Config={"StopTimeout": 0}))
    assert zero.container.stop_timeout == timedelta(0)


def test_environment():
    env = ["A=b=c", "EMPTY=", "UNSET", "C=1", "C=2", "D", "D=1"]
    assert full(inspected(Config={"Env": env})).container.env == {
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
def test_a_summary_has_the_exit_code(
    state: str, status: str, reason: StateReason | None, code: int | None
):
    detail = summary(listed(State=state, Status=status)).state_detail
    assert (detail.reason, detail.exit_code, detail.message) == (reason, code, "")


def test_a_summary_does_not_vary_with_time_or_order():
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
    assert [port.host_port for port in summary(one).container.ports] == [8080, 8081]
