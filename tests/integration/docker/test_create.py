"""Every field of ContainerSpec, on the real engine and inside the container."""

import asyncio
import re
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import docker
import pytest

from eventually import eventually
from free_port import free_port
from integration.docker.workloads import DEAF, IMAGE, LABEL, Make
from proad.drivers.docker import DockerDriver
from proad.drivers.docker.labels import CREATION_LABEL
from proad.model import (
    BindMount,
    ContainerResources,
    ContainerSpec,
    DeleteOptions,
    Device,
    HealthCheck,
    HealthStatus,
    Mount,
    NetworkAttachment,
    PortProtocol,
    PublishedPort,
    Resource,
    ResourceState,
    RestartPolicy,
    RestartPolicyMode,
    TmpfsMount,
    Ulimit,
    VolumeMount,
)
from resource_details import container_of, spec_of

pytestmark = pytest.mark.docker

MIB = 2**20


async def says(raw: docker.APIClient, container: Resource, *command: str) -> str:
    """Run a command in a container and return its output."""

    def run() -> str:
        made = raw.exec_create(container.id, list(command))
        return raw.exec_start(made["Id"]).decode().strip()

    return await asyncio.to_thread(run)


@pytest.fixture
def network(raw: docker.APIClient, token: str):
    """A network with a subnet; its containers must be deleted first."""
    pool = docker.types.IPAMPool(subnet="10.249.77.0/24")
    made = raw.create_network(token, ipam=docker.types.IPAMConfig(pool_configs=[pool]))
    yield token
    for id in raw.inspect_network(made["Id"])["Containers"]:
        raw.remove_container(id, force=True)
    raw.remove_network(made["Id"])


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


async def test_create_container_with_ports_publishes_them(driver: DockerDriver, make: Make):
    port = free_port()
    made = await make(
        *DEAF,
        ports=(
            PublishedPort(container_port=80),
            PublishedPort(container_port=81, host_port=port, host_ip="127.0.0.1"),
            PublishedPort(container_port=81, protocol=PortProtocol.UDP, host_ip="127.0.0.1"),
        ),
    )
    listed = {each.id: each for each in await driver.list_resources()}
    ports = container_of(made).ports
    assert container_of(listed[made.id]).ports == ports
    chosen, fixed, udp = ports[0], *ports[-2:]
    assert (chosen.container_port, chosen.protocol) == (80, PortProtocol.TCP)
    assert chosen.host_port
    assert fixed == PublishedPort(
        container_port=81, host_port=port, host_ip="127.0.0.1", protocol=PortProtocol.TCP
    )
    assert (udp.protocol, udp.host_ip) == (PortProtocol.UDP, "127.0.0.1")
    assert udp.host_port
    with socket.create_connection(("127.0.0.1", port), timeout=30):
        pass  # docker's proxy listens


async def test_create_container_not_started_returns_requested_ports(make: Make):
    wish = (PublishedPort(container_port=53, host_port=4053, protocol=PortProtocol.UDP),)
    made = await make(start=False, ports=wish)
    assert (container_of(made).ports, spec_of(made).ports) == ((), wish)


async def test_create_container_with_mounts_mounts_them(
    driver: DockerDriver, make: Make, raw: docker.APIClient, tmp_path: Path, token: str
):
    (tmp_path / "hello").write_text("from the host")
    try:
        made = await make(
            *DEAF,
            mounts=(
                Mount(target="/b", bind=BindMount(source=str(tmp_path)), read_only=True),
                Mount(target="/n", volume=VolumeMount(name=token)),
                Mount(target="/a", volume=VolumeMount()),
                Mount(target="/t", tmpfs=TmpfsMount(size_bytes=4 * MIB, mode=0o1770)),
            ),
        )
        mounts = {mount.target: mount for mount in container_of(made).mounts}
        assert mounts["/b"] == Mount(
            target="/b", bind=BindMount(source=str(tmp_path)), read_only=True
        )
        assert mounts["/n"] == Mount(target="/n", volume=VolumeMount(name=token))
        assert mounts["/t"] == Mount(target="/t", tmpfs=TmpfsMount(size_bytes=4 * MIB, mode=0o1770))
        volume = mounts["/a"].volume
        assert volume is not None
        nameless = volume.name
        assert len(nameless) == 64
        script = "cat /b/hello; touch /b/x 2>/dev/null || echo read-only; stat -c %a /t; df -k /t | tail -n 1"
        answer = await says(raw, made, "sh", "-c", script)
        assert answer.startswith("from the host")
        assert "read-only" in answer
        assert "\n1770\n" in answer
        assert str(4 * 1024) in answer
        listed = {each.id: each for each in await driver.list_resources()}
        short = {mount.target: mount for mount in container_of(listed[made.id]).mounts}
        assert short["/n"] == mounts["/n"]

        await driver.delete(made.id, DeleteOptions(force=True))
        names = {volume["Name"] for volume in raw.volumes()["Volumes"] or ()}
        assert nameless not in names
        assert token in names
    finally:
        for each in raw.containers(all=True, filters={"label": f"{LABEL}={token}"}):
            raw.remove_container(each["Id"], force=True, v=True)
        raw.remove_volume(token)


async def test_create_container_with_two_networks_joins_both(
    make: Make, raw: docker.APIClient, network: str
):
    made = await make(
        *DEAF,
        networks=(
            NetworkAttachment(
                network=network, aliases=("captain", "mate"), ipv4_address="10.249.77.42"
            ),
            NetworkAttachment(network="bridge"),
        ),
    )
    networks = {each.network: each for each in container_of(made).networks}
    assert set(networks) == {network, "bridge"}
    assert networks[network].ipv4_address == "10.249.77.42"
    assert networks[network].aliases == ("captain", "mate")
    assert networks[network].mac_address
    assert networks["bridge"].ipv4_address
    assert "10.249.77.42" in await says(raw, made, "nslookup", "captain", "127.0.0.11")


@pytest.mark.parametrize("name", ["none", "host"])
async def test_create_container_with_built_in_network_joins_it(
    make: Make, raw: docker.APIClient, name: str
):
    made = await make(*DEAF, networks=(NetworkAttachment(network=name),))
    assert [each.network for each in container_of(made).networks] == [name]
    links = await says(raw, made, "ls", "/sys/class/net")
    assert ("docker0" in links) == (name == "host")


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


async def test_create_container_with_dns_and_hosts_writes_them(make: Make, raw: docker.APIClient):
    made = await make(
        *DEAF,
        dns_servers=("192.0.2.53",),
        dns_search=("proa.test",),
        networks=(NetworkAttachment(network="bridge"),),
        extra_hosts={"port": "192.0.2.7", "gateway": "host-gateway"},
    )
    answer = await says(raw, made, "cat", "/etc/resolv.conf", "/etc/hosts")
    assert "nameserver 192.0.2.53" in answer
    assert "search proa.test" in answer
    assert "192.0.2.7\tport" in answer
    assert "\tgateway" in answer


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
