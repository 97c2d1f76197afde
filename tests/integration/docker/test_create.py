"""The fields of ContainerSpec, but for ports, mounts and networks, on the real engine and inside the container."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import docker
import pytest

from eventually import eventually
from integration.docker.workloads import DEAF, IMAGE, LABEL, Make, says
from proad.drivers.docker import DockerDriver
from proad.drivers.docker.labels import CREATION_LABEL
from proad.model import (
    ContainerResources,
    ContainerSpec,
    Device,
    HealthCheck,
    HealthStatus,
    NetworkAttachment,
    ResourceState,
    RestartPolicy,
    RestartPolicyMode,
    Ulimit,
)
from resource_details import container_of, spec_of

pytestmark = pytest.mark.docker

MIB = 2**20


@pytest.mark.parametrize(("asked", "flag"), [(True, "0"), (False, "1")])
async def test_create_decides_whether_processes_may_gain_privileges(
    make: Make, raw: docker.APIClient, *, asked: bool, flag: str
):
    made = await make(*DEAF, allow_new_privileges=asked)
    status = await says(raw, made, "cat", "/proc/1/status")
    assert (
        dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)["NoNewPrivs"]
        == flag
    )


async def test_create_container_with_image_only_takes_image_defaults(
    driver: DockerDriver, raw: docker.APIClient
):
    made = await driver.create_container(ContainerSpec(image=IMAGE))
    try:
        resource = made.resource
        assert made.warnings == ()
        assert resource.name
        container = container_of(resource)
        assert container.image == IMAGE
        assert container.image_id == raw.inspect_image(IMAGE)["Id"]
        assert container.command == ("sh",)
        assert resource.labels == (raw.inspect_image(IMAGE)["Config"]["Labels"] or {})
        assert resource.create_time is not None
        assert abs(resource.create_time - datetime.now(UTC)) < timedelta(seconds=30)
    finally:
        await driver.delete(made.resource.id)


async def test_create_container_with_process_options_applies_them(
    driver: DockerDriver, make: Make, raw: docker.APIClient
):
    made = await make(
        "3600",
        entrypoint=("sleep",),
        env={"GREETING": "a = b\nc", "EMPTY": ""},
        working_dir="/var/tmp/x",
        user="65534:0",
        hostname="hull",
        domainname="proa.test",
        group_add=("1234",),
        init=True,
        tty=True,
        stdin_open=True,
        labels={"a": "b=c", "Ünicode key": ""},
        networks=(NetworkAttachment(network="bridge"),),
    )
    container = container_of(made)
    assert container.command == ("sleep", "3600")
    assert container.env["GREETING"] == "a = b\nc"
    assert container.env["EMPTY"] == ""
    assert (container.working_dir, container.user) == ("/var/tmp/x", "65534:0")
    assert container.hostname == "hull"
    asked = spec_of(made)
    assert (asked.init, asked.tty, asked.stdin_open) == (True, True, True)
    assert made.labels["a"] == "b=c"
    assert made.labels["Ünicode key"] == ""
    assert CREATION_LABEL not in made.labels
    script = "id -u; id -g; id -G; hostname -f; pwd; cat /proc/1/comm; echo $GREETING"
    lines = (await says(raw, made, "sh", "-c", script)).split("\n")
    assert lines[:2] == ["65534", "0"]
    assert "1234" in lines[2]
    assert lines[3:] == ["hull.proa.test", "/var/tmp/x", "docker-init", "a = b c"]


async def test_create_container_with_empty_entrypoint_clears_it(
    make: Make, raw: docker.APIClient, token: str
):
    config = {"Entrypoint": ["/bin/false"], "Cmd": ["x"]}
    made = raw.create_container(IMAGE, entrypoint=["/bin/false"], name=f"{token}-base")
    tag = f"{token}:1"
    raw.commit(made["Id"], repository=token, tag="1", conf=config)
    raw.remove_container(made["Id"])
    try:
        kept = await make("y", image=tag, start=False)
        assert container_of(kept).command == ("/bin/false", "y")
        cleared = await make("sleep", "3600", image=tag, entrypoint=("",), start=False)
        assert container_of(cleared).command == ("sleep", "3600")
    finally:
        for each in raw.containers(all=True, filters={"label": f"{LABEL}={token}"}):
            raw.remove_container(each["Id"], force=True)
        raw.remove_image(tag)


async def test_create_container_with_limits_applies_them(make: Make, raw: docker.APIClient):
    wish = ContainerResources(
        memory_bytes=64 * MIB,
        memory_reservation_bytes=32 * MIB,
        memory_swap_bytes=96 * MIB,
        cpus=0.5,
        cpuset_cpus="0",
        cpu_shares=512,
        pids_limit=77,
    )
    made = await make(
        *DEAF,
        resources=wish,
        shm_size_bytes=128 * MIB,
        ulimits=(Ulimit(name="nofile", soft=100, hard=200), Ulimit(name="core", soft=-1, hard=-1)),
    )
    asked = spec_of(made)
    assert asked.resources == wish
    assert asked.shm_size_bytes == 128 * MIB
    assert set(asked.ulimits) == {
        Ulimit(name="nofile", soft=100, hard=200),
        Ulimit(name="core", soft=-1, hard=-1),
    }
    # Of the container's own process: Docker 20.10 gives processes of `exec` soft = hard.
    limits = Path(f"/proc/{container_of(made).pid}/limits").read_text()
    assert re.search(r"^Max open files +100 +200 ", limits, re.MULTILINE)
    script = "df -k /dev/shm | tail -n 1; nproc"
    answer = (await says(raw, made, "sh", "-c", script)).split()
    assert str(128 * 1024) in answer
    assert answer[-1] == "1"


async def test_create_container_started_by_another_client_succeeds(
    driver: DockerDriver, make: Make, raw: docker.APIClient
):
    spec = make.spec(*DEAF)
    created = raw.events(
        decode=True, filters={"event": "create", "label": f"{LABEL}={spec.labels[LABEL]}"}
    )
    starting = asyncio.create_task(asyncio.to_thread(lambda: raw.start(next(created)["id"])))

    made = await driver.create_container(spec, start=True)
    await starting
    created.close()

    assert made.resource.state is ResourceState.RUNNING


async def test_create_container_with_security_options_applies_them(
    make: Make, raw: docker.APIClient
):
    made = await make(
        *DEAF,
        read_only_root=True,
        cap_add=("NET_ADMIN",),
        cap_drop=("CHOWN",),
        devices=(
            Device(host_path="/dev/null", container_path="/dev/nothing", permissions="r"),
            Device(host_path="/dev/full"),
        ),
        sysctls={"net.core.somaxconn": "321"},
    )
    asked = spec_of(made)
    assert asked.read_only_root
    assert (asked.cap_add, asked.cap_drop) == (("NET_ADMIN",), ("CHOWN",))
    assert asked.devices == (
        Device(host_path="/dev/null", container_path="/dev/nothing", permissions="r"),
        Device(host_path="/dev/full", container_path="/dev/full", permissions="rwm"),
    )
    assert not container_of(made).privileged
    script = "touch /x 2>/dev/null || echo no; cat /proc/sys/net/core/somaxconn; ls /dev/nothing"
    answer = await says(raw, made, "sh", "-c", script)
    assert answer.split() == ["no", "321", "/dev/nothing"]


async def test_create_container_with_stop_restart_and_log_options_keeps_them(
    make: Make, raw: docker.APIClient
):
    policy = RestartPolicy(mode=RestartPolicyMode.ON_FAILURE, max_retries=3)
    made = await make(
        start=False,
        stop_signal="SIGINT",
        stop_timeout=timedelta(0),
        restart_policy=policy,
        log_driver="json-file",
        log_options={"max-size": "1m"},
    )
    asked = spec_of(made)
    assert (asked.stop_signal, asked.stop_timeout) == ("SIGINT", timedelta(0))
    assert asked.restart_policy == policy
    assert asked.log_driver == "json-file"
    log = raw.inspect_container(made.id)["HostConfig"]["LogConfig"]
    assert log == {"Type": "json-file", "Config": {"max-size": "1m"}}


@pytest.mark.parametrize(
    ("check", "health"),
    [
        (HealthCheck(command=("true",), interval=timedelta(milliseconds=20)), HealthStatus.HEALTHY),
        (
            HealthCheck(shell_command="exit 1", interval=timedelta(milliseconds=20), retries=1),
            HealthStatus.UNHEALTHY,
        ),
        (HealthCheck(command=("true",), interval=timedelta(hours=1)), HealthStatus.STARTING),
        (HealthCheck(disabled=True), None),
        (None, None),
    ],
)
async def test_create_container_with_health_check_reports_health(
    driver: DockerDriver, make: Make, check: HealthCheck | None, health: HealthStatus | None
):
    made = await make(*DEAF, health_check=check)

    async def so() -> bool:
        return container_of(await driver.get_resource(made.id)).health is health

    await eventually(so)


async def test_create_container_with_health_check_times_sends_nanoseconds(
    make: Make, raw: docker.APIClient
):
    check = HealthCheck(
        command=("a", "b c"),
        interval=timedelta(seconds=1.5),
        timeout=timedelta(milliseconds=7),
        retries=9,
        start_period=timedelta(minutes=1),
    )
    made = await make(start=False, health_check=check)
    assert raw.inspect_container(made.id)["Config"]["Healthcheck"] == {
        "Test": ["CMD", "a", "b c"],
        "Interval": 1_500_000_000,
        "Timeout": 7_000_000,
        "Retries": 9,
        "StartPeriod": 60_000_000_000,
    }
