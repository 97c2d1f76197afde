"""Ports, mounts and networks of a container, as read from the engine's answers."""

from dataclasses import replace

import pytest

from proad.model import (
    BindMount,
    Mount,
    NetworkAttachment,
    PortProtocol,
    PublishedPort,
    TmpfsMount,
    VolumeMount,
)
from resource_details import container_of, spec_of
from unit.docker.engine_answers import ID, full, inspected, listed, summary


def test_ports_not_published_are_left_out():
    ports = [{"PrivatePort": 80, "Type": "tcp"}]
    assert container_of(summary(listed(Ports=ports))).ports == ()
    asked = inspected(NetworkSettings={"Ports": {"80/tcp": None}})
    assert container_of(full(asked)).ports == ()


def test_ports_on_all_addresses_are_merged():
    udp = PublishedPort(container_port=53, host_port=4053, protocol=PortProtocol.UDP)
    bindings = [{"HostIp": "0.0.0.0", "HostPort": "4053"}, {"HostIp": "::", "HostPort": "4053"}]
    long = full(inspected(NetworkSettings={"Ports": {"53/udp": bindings}}))
    assert container_of(long).ports == (udp,)
    short = summary(
        listed(
            Ports=[
                {"IP": ip, "PrivatePort": 53, "PublicPort": 4053, "Type": "udp"}
                for ip in ("0.0.0.0", "::")
            ]
        )
    )
    assert container_of(short).ports == (udp,)
    one = full(inspected(NetworkSettings={"Ports": {"53/udp": bindings[:1]}}))
    assert container_of(one).ports == (replace(udp, host_ip="0.0.0.0"),)


def test_port_with_unknown_protocol_is_other():
    port = PublishedPort(container_port=53, host_port=4053, protocol=PortProtocol.OTHER)
    listed_port = {"PrivatePort": 53, "PublicPort": 4053, "Type": "quic", "IP": ""}
    assert container_of(summary(listed(Ports=[listed_port]))).ports == (port,)
    bindings = {"53/quic": [{"HostIp": "", "HostPort": "4053"}]}
    shown = full(
        inspected(NetworkSettings={"Ports": bindings}, HostConfig={"PortBindings": bindings})
    )
    assert container_of(shown).ports == spec_of(shown).ports == (port,)


def test_ports_with_host_range_have_no_host_port():
    """`-p 48000-48010:80`: before the start, no port is known, and none is published."""
    bindings = {
        "80/tcp": [{"HostIp": "", "HostPort": "48000-48010"}],
        "81/tcp": [{"HostIp": "", "HostPort": "8081"}],
        "82/tcp": [{"HostIp": "", "HostPort": "0"}],
    }
    shown = full(inspected(HostConfig={"PortBindings": bindings}))
    assert container_of(shown).ports == ()
    assert [(p.container_port, p.host_port) for p in spec_of(shown).ports] == [
        (80, None),
        (81, 8081),
        (82, None),
    ]


def test_mounts_of_every_type_are_read():
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
    assert container_of(full(item)).mounts == (
        Mount(target="/b", bind=BindMount(source="/srv"), read_only=True),
        Mount(target="/p"),
        Mount(target="/run", tmpfs=TmpfsMount(size_bytes=0)),
        Mount(target="/t", tmpfs=TmpfsMount(size_bytes=9, mode=448)),
        Mount(target="/u", tmpfs=TmpfsMount(size_bytes=0)),
        Mount(target="/v", volume=VolumeMount(name="data")),
    )
    short = container_of(summary(listed(Mounts=item["Mounts"]))).mounts
    assert short == tuple(m for m in container_of(full(item)).mounts if m.tmpfs is None)


@pytest.mark.parametrize(
    ("options", "size", "mode", "read_only"),
    [
        ("", 0, None, False),
        ("size=64m,mode=1777", 64 * 2**20, 0o1777, False),
        ("ro,noexec,size=1G", 2**30, None, True),
        ("ro,rw,size=1k,size=100,mode=0700", 100, 0o700, False),
        ("size=50%", 0, None, False),
        ("size=much,mode=rwx", 0, None, False),
        (f"size={2**63}e", 2**63 - 1, None, False),
    ],
)
def test_tmpfs_options_are_parsed(options: str, size: int, mode: int, *, read_only: bool):
    found = container_of(full(inspected(HostConfig={"Tmpfs": {"/t": options}}))).mounts
    memory = TmpfsMount(size_bytes=size, mode=mode)
    assert found == (Mount(target="/t", read_only=read_only, tmpfs=memory),)


def test_network_of_stopped_container_shows_request():
    endpoint = {
        "IPAMConfig": {"IPv4Address": "192.0.2.5"},
        "IPAddress": "",
        "Aliases": ["db", ID[:12]],
    }
    networks = container_of(full(inspected(NetworkSettings={"Networks": {"x": endpoint}}))).networks
    assert networks == (NetworkAttachment(network="x", aliases=("db",), ipv4_address="192.0.2.5"),)


def test_network_of_another_container_is_shown():
    mode = {"NetworkMode": f"container:{'cd' * 32}"}
    shown = (NetworkAttachment(network=mode["NetworkMode"]),)
    assert container_of(full(inspected(HostConfig=mode))).networks == shown
    assert container_of(summary(listed(HostConfig=mode))).networks == shown


def test_network_in_a_summary_has_no_aliases():
    networks = {"Networks": {"x": {"Aliases": ["db"], "IPAddress": "192.0.2.5"}}}
    found = container_of(summary(listed(NetworkSettings=networks))).networks
    assert found == (NetworkAttachment(network="x", ipv4_address="192.0.2.5"),)
