"""KVM or emulation: what the host offers, and which one new domains use."""

import fcntl
import os
import pwd
import re
from dataclasses import dataclass
from typing import Literal, Self
from urllib.parse import urlsplit

import libvirt
import structlog

from proad.drivers.libvirt.errors import code_of
from proad.drivers.libvirt.xml.parser import parse
from proad.drivers.tolerant import MOST, Omissions, Value
from proad.model import Capability, VirtType

VirtChoice = Literal["auto", "kvm", "qemu"]

_KIB, _MIB = 2**10, 2**20
_KVM_GET_API_VERSION = 0xAE00
_KVM_CREATE_VM = 0xAE01
_KVM_API_VERSION = 12
# Errors of libvirt for a type of machine, or a query, that it does not know.
NOT_OFFERED = frozenset(
    {
        libvirt.VIR_ERR_NO_SUPPORT,
        libvirt.VIR_ERR_INVALID_ARG,
        libvirt.VIR_ERR_CONFIG_UNSUPPORTED,
        libvirt.VIR_ERR_OPERATION_FAILED,
    }
)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class QemuUser:
    """The user that QEMU runs as.

    Attributes:
        uid: number of the user.
        groups: numbers of all groups that the user is in.
    """

    uid: int
    groups: frozenset[int]

    def __str__(self) -> str:
        """Return the name of the user, or the number if the host has no name for it."""
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return f"uid {self.uid}"

    @classmethod
    def of(cls, uid: int, gid: int) -> Self:
        """Return a user of this host with all groups, as libvirt sets them for QEMU."""
        try:
            return cls(uid, frozenset(os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)))
        except KeyError:
            return cls(uid, frozenset({gid}))

    @classmethod
    def of_this_process(cls) -> Self:
        """Return the user of this process, which a session libvirtd runs QEMU as."""
        return cls(os.geteuid(), frozenset({os.getegid(), *os.getgroups()}))


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """Facts about a host for new domains.

    Attributes:
        virt_type: virtualisation of new domains.
        architecture: as libvirt names it, such as "x86_64".
        memory_bytes: memory of the host.
        rng: whether a new domain can have a random number generator.
        qemu_user: the user that QEMU runs as; None: the user of libvirtd, which then changes
            the owner of no file.
        warnings: messages for the operator.
    """

    virt_type: VirtType
    architecture: str
    memory_bytes: int = 0
    rng: bool = False
    qemu_user: QemuUser | None = None
    warnings: tuple[str, ...] = ()

    @property
    def is_x86(self) -> bool:
        """Whether the machine is a PC."""
        return self.architecture in {"x86_64", "i686"}


def is_test(connection: libvirt.virConnect) -> bool:
    """Return whether this is libvirt's own test hypervisor."""
    return bool(connection.getType() == "TEST")


def lacking(uri: str) -> frozenset[Capability]:
    """Return what can never be done with a libvirt that is reached by this address."""
    parts = urlsplit(uri)
    is_here = not parts.netloc and not parts.scheme.startswith("test")
    lacks = set() if is_here else {Capability.PORT_FORWARDING}
    if not is_here or parts.path != "/system":
        lacks.add(Capability.LOGS)  # the system's own libvirtd keeps them
    return frozenset(lacks)


def is_local(connection: libvirt.virConnect) -> bool:
    """Return whether libvirt's file paths are paths of this host."""
    return not is_test(connection) and not urlsplit(connection.getURI()).netloc


def read_facts(
    connection: libvirt.virConnect, choice: VirtChoice, omissions: Omissions
) -> HostFacts:
    """Return facts about the host, with the virtualisation of new domains.

    `auto` means KVM if libvirt offers it and the kernel permits it, else emulation with a
    warning.
    """
    architecture = connection.getInfo()[0]
    if is_test(connection):
        memory = connection.getInfo()[1] * _MIB
        return HostFacts(virt_type=VirtType.TEST, architecture=architecture, memory_bytes=memory)
    warnings: tuple[str, ...] = ()
    if choice == "auto":
        obstacle = _obstacle(connection)
        virt_type = VirtType.QEMU if obstacle else VirtType.KVM
        if obstacle:
            warnings += (f"new domains are emulated, which is slow ({obstacle}); see virt_type",)
            _log.warning("libvirt.emulation", uri=connection.getURI(), obstacle=obstacle)
    else:
        virt_type = VirtType(choice.upper())
    capabilities = _capabilities(connection, virt_type)
    if capabilities is None:
        warnings += (f"libvirt on this host does not offer {virt_type} domains",)
    return HostFacts(
        virt_type=virt_type,
        architecture=architecture,
        memory_bytes=_memory(connection, omissions),
        rng=omissions.attempt("", "capabilities", lambda: _offers_rng(capabilities), default=False),
        qemu_user=omissions.attempt(
            "", "capabilities", lambda: _qemu_user(connection, virt_type), None
        ),
        warnings=warnings,
    )


def _qemu_user(connection: libvirt.virConnect, virt_type: VirtType) -> QemuUser | None:
    label: str = parse(connection.getCapabilities()).xpath(
        "string(host/secmodel[model='dac']/baselabel[@type=$kind])", kind=virt_type.lower()
    )
    if (match := re.fullmatch(r"\+(\d+):\+(\d+)", label)) is None:
        return None
    return QemuUser.of(int(match[1]), int(match[2]))


def _offers_rng(capabilities: str | None) -> bool:
    if capabilities is None:
        return False
    found = parse(capabilities).xpath(
        "devices/rng[@supported='yes']/enum[@name='backendModel']/value[.='random']"
    )
    return bool(found)


def _memory(connection: libvirt.virConnect, omissions: Omissions) -> int:
    """Return the memory of the host in bytes."""

    def total() -> int:
        # getInfo is wrong on some hosts.
        answer = connection.getMemoryStats(libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS)
        return Value(answer, omissions)["total"].count(MOST // _KIB) * _KIB

    try:
        return omissions.attempt("", "memory", total, 0)
    except libvirt.libvirtError:
        return 0  # a connection that is lost fails in what comes with it, too


def _capabilities(connection: libvirt.virConnect, virt_type: VirtType) -> str | None:
    try:
        return str(connection.getDomainCapabilities(None, None, None, virt_type.lower()))
    except libvirt.libvirtError as error:
        if code_of(error) not in NOT_OFFERED:
            raise
    return None


def _obstacle(connection: libvirt.virConnect) -> str:
    """Return why KVM cannot be used; empty if it can."""
    if _capabilities(connection, VirtType.KVM) is None:
        return "libvirt offers no KVM on this host"
    if not is_local(connection):  # the device of another host cannot be opened
        return ""
    try:
        device = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        return f"/dev/kvm cannot be opened ({error.strerror})"
    try:
        if fcntl.ioctl(device, _KVM_GET_API_VERSION) != _KVM_API_VERSION:
            return "/dev/kvm speaks another version of its interface"
        os.close(fcntl.ioctl(device, _KVM_CREATE_VM))
    except OSError as error:
        return f"/dev/kvm makes no virtual machine ({error.strerror})"
    finally:
        os.close(device)
    return ""
