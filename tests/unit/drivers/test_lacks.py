"""What drivers say that their engines lack, by the address alone."""

import platform
from pathlib import Path

import pytest

from proad.core.hosts import capabilities, require
from proad.drivers.docker import DockerDriver, container_root, process_group, process_rights
from proad.drivers.libvirt import LibvirtDriver
from proad.errors import CapabilityMissingError
from proad.model import Capability
from proad.ports import Images, SocketForwarding

PORTS, SOCKETS, LOGS = (
    Capability.PORT_FORWARDING,
    Capability.SOCKET_FORWARDING,
    Capability.LOGS,
)


@pytest.mark.parametrize("url", ["tcp://192.0.2.1:2376", "ssh://host"])
def test_engine_of_another_host_has_neither_ports_nor_sockets(url: str, tmp_path: Path):
    driver = DockerDriver(url, cert_path=None)
    assert {PORTS, SOCKETS} == driver.lacks
    assert not {PORTS, SOCKETS} & {*capabilities(driver)}
    assert {LOGS, Capability.COMMANDS, Capability.FILES} < {*capabilities(driver)}


SYS_PTRACE, SETGID, DAC_OVERRIDE, KILL = 1 << 19, 1 << 6, 1 << 1, 1 << 5


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The file in which the kernel tells of this process, which is not there."""
    monkeypatch.setattr(process_rights, "_OWN", tmp_path)
    return tmp_path / "status"


def say(own: Path, rights: int) -> None:
    own.write_text(f"Name:\tCapEff:\nCapInh:\t0000000000000000\nCapEff:\t{rights:016x}\n")


@pytest.mark.parametrize(
    ("rights", "machine", "lacks"),
    [
        (SYS_PTRACE | SETGID, "x86_64", ""),
        (SETGID | DAC_OVERRIDE, "x86_64", "CAP_SYS_PTRACE"),
        (SYS_PTRACE | DAC_OVERRIDE, "x86_64", "CAP_SETGID"),
        (SYS_PTRACE | SETGID, "sparc", "sparc"),
    ],
)
def test_engine_of_this_host_has_sockets_for_a_daemon_with_the_rights(
    monkeypatch: pytest.MonkeyPatch, own: Path, rights: int, machine: str, lacks: str
):
    say(own, rights)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert lacks in container_root.obstacle()
    found = {*capabilities(DockerDriver("unix:///var/run/docker.sock"))}
    assert found & {PORTS, SOCKETS} == ({PORTS} if lacks else {PORTS, SOCKETS})


@pytest.mark.parametrize(
    "rights", [KILL, 1 << 40 | KILL, ~KILL & 0x1FFFFFFFFFF, SYS_PTRACE | SETGID | DAC_OVERRIDE]
)
def test_daemon_may_signal_all_with_the_right(own: Path, rights: int):
    say(own, rights)
    assert process_group.may_signal_all() is bool(rights & KILL)


@pytest.mark.usefixtures("own")
def test_daemon_that_cannot_see_its_rights_has_none():
    assert "CAP_SYS_PTRACE" in container_root.obstacle()
    assert not process_group.may_signal_all()
    assert SOCKETS in DockerDriver("unix:///var/run/docker.sock").lacks


@pytest.mark.parametrize(
    ("uri", "lacks"),
    [
        ("qemu:///system", set()),
        ("qemu+unix:///system?socket=/run/libvirt.sock", set()),
        ("qemu:///session", {LOGS}),
        ("qemu+ssh://root@host/system", {PORTS, LOGS}),
        ("qemu+tls://host/system", {PORTS, LOGS}),
        ("test:///default", {PORTS, LOGS}),
    ],
)
def test_libvirt_has_ports_and_logs_where_it_is_that_of_this_host(uri: str, lacks: set[Capability]):
    found = {*capabilities(LibvirtDriver(uri))}
    assert {PORTS, LOGS} - found == lacks
    assert SOCKETS not in found


@pytest.mark.parametrize(
    ("port", "name"), [(SocketForwarding, "socket forwarding"), (Images, "images")]
)
def test_capability_that_is_missing_is_told_in_words(port: type[object], name: str):
    with pytest.raises(CapabilityMissingError, match=f"cannot do this: {name};") as missing:
        require(LibvirtDriver("qemu:///system"), port)
    assert missing.value.metadata["capability"] == name
