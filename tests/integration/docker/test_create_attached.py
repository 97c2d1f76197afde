"""The ports, mounts and networks of ContainerSpec, on the real engine and inside the container."""

import socket
from pathlib import Path

import docker
import pytest

from free_port import free_port
from integration.docker.workloads import DEAF, LABEL, Make, says
from proad.drivers.docker import DockerDriver
from proad.model import (
    BindMount,
    DeleteOptions,
    Mount,
    NetworkAttachment,
    PortProtocol,
    PublishedPort,
    TmpfsMount,
    VolumeMount,
)
from resource_details import container_of, spec_of

pytestmark = pytest.mark.docker

MIB = 2**20


@pytest.fixture
def network(raw: docker.APIClient, token: str):
    """A network with a subnet; its containers must be deleted first."""
    pool = docker.types.IPAMPool(subnet="10.249.77.0/24")
    made = raw.create_network(token, ipam=docker.types.IPAMConfig(pool_configs=[pool]))
    yield token
    for id in raw.inspect_network(made["Id"])["Containers"]:
        raw.remove_container(id, force=True)
    raw.remove_network(made["Id"])


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
