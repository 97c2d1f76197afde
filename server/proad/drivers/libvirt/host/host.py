"""The host of a libvirtd: its identity, and facts for new domains."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import libvirt

from proad.drivers.libvirt.host.judged_facts import read_host, read_pools
from proad.drivers.libvirt.host.virt import HostFacts, VirtChoice, is_local, is_test, read_facts
from proad.drivers.libvirt.storage.finder import Finder
from proad.drivers.libvirt.xml.parser import parse
from proad.drivers.tolerant import INT32, Omissions, Value
from proad.model import DomainFacts, EngineInfo

# Place of the number of processors in libvirt's information on a host.
_CPUS = 2


class LibvirtHost:
    """The host of one libvirtd; used on the driver's threads.

    Args:
        choice: whether new domains use KVM, emulation, or whichever the host offers.
        uri: libvirt's connection URI.
        omissions: records unreadable parts.
    """

    def __init__(self, choice: VirtChoice, uri: str, omissions: Omissions) -> None:
        self._choice = choice
        self._omissions = omissions
        self._uri = uri
        self._facts: HostFacts | None = None
        self._judged: DomainFacts | None = None
        self._identity = ""

    def facts(self, connection: libvirt.virConnect) -> HostFacts:
        """Return the facts for new domains; read once per session with libvirtd."""
        if self._facts is None:
            self._facts = read_facts(connection, self._choice, self._omissions)
        return self._facts

    def judged_facts(
        self, connection: libvirt.virConnect, *, media_dirs: Sequence[str], finder: Finder
    ) -> DomainFacts:
        """Return the facts on which domain XML is judged.

        Args:
            connection: to libvirt.
            media_dirs: folders of installation media.
            finder: knows the default pool, which is created with its first volume.
        """
        if self._judged is None:
            self._judged = read_host(connection)
        folders, volumes = read_pools(connection)
        name, folder = finder.default
        if name not in {*folders.values(), *volumes.values()}:
            folders.setdefault(folder, name)
        return replace(self._judged, pools=folders, volumes=volumes, media_dirs=tuple(media_dirs))

    def forget(self) -> None:
        """Drop cached facts: the next libvirtd may be another one."""
        self._facts = None
        self._judged = None
        self._identity = ""

    def identity(self, connection: libvirt.virConnect) -> str:
        """Return what identifies this libvirtd, independent of host names.

        The host's UUID, and which of its libvirtds: the system's, a user's, or one with a
        socket of its own.
        """
        if not self._identity:
            self._identity = _identity(connection, self._uri)
        return self._identity

    def info(self, connection: libvirt.virConnect) -> EngineInfo:
        """Return libvirt's version and facts about its host."""
        version = _version(connection.getLibVersion())
        facts = self.facts(connection)
        info = list(Value(connection.getInfo(), self._omissions, path="info").each())
        return EngineInfo(
            version=version,
            api_version=f"{connection.getType()} {_version(connection.getVersion())}",
            hostname=self._hostname(connection),
            cpus=info[_CPUS].count(INT32) if len(info) > _CPUS else 0,
            memory_bytes=facts.memory_bytes,
            architecture=facts.architecture,
            warnings=facts.warnings,
        )

    def _hostname(self, connection: libvirt.virConnect) -> str:
        """Return the name of the host; empty if libvirt cannot tell one."""
        try:
            return self._omissions.attempt("", "hostname", connection.getHostname, "")
        except libvirt.libvirtError:
            return ""  # if the connection is lost, the next call fails too


def _identity(connection: libvirt.virConnect, uri: str) -> str:
    if is_test(connection):
        return "test"
    host = parse(connection.getCapabilities()).findtext("host/uuid", "")
    if is_local(connection) and not _has_firmware_uuid(host):
        # libvirtd generates a UUID at each start if the firmware has none.
        host = _machine_id() or host
    address = urlsplit(uri)
    socket = parse_qs(address.query).get("socket", [""])[0]
    return f"{host}{address.path}{socket}"


def _has_firmware_uuid(uuid: str) -> bool:
    source = Path("/sys/class/dmi/id/product_uuid")
    try:
        return UUID(source.read_text().strip()) == UUID(uuid)
    except PermissionError:  # readable for root alone
        return True
    except (OSError, ValueError):
        return False


def _machine_id() -> str:
    try:
        return str(UUID(Path("/etc/machine-id").read_text().strip()))
    except (OSError, ValueError):
        return ""


def _version(number: int) -> str:
    return f"{number // 1_000_000}.{number // 1_000 % 1_000}.{number % 1_000}"
