"""The host: who it is, and what new domains on it are made of."""

import libvirt

from proad.drivers.libvirt.virt import HostFacts, VirtChoice, read_facts
from proad.model import EngineInfo


class Host:
    """The host of one libvirtd; used on the driver's threads.

    Args:
        choice: what new domains are: KVM, emulation, or whichever the host offers.
    """

    def __init__(self, choice: VirtChoice) -> None:
        self._choice = choice
        self._facts: HostFacts | None = None

    def facts(self, connection: libvirt.virConnect) -> HostFacts:
        """Give what domains are made of; asked once for as long as libvirtd is there."""
        if self._facts is None:
            self._facts = read_facts(connection, self._choice)
        return self._facts

    def forget(self) -> None:
        """Ask again next time: libvirtd may be another one."""
        self._facts = None

    def info(self, connection: libvirt.virConnect) -> EngineInfo:
        """Ask libvirt for its version and host."""
        version = _version(connection.getLibVersion())
        facts = self.facts(connection)
        return EngineInfo(
            version=version,
            api_version=f"{connection.getType()} {_version(connection.getVersion())}",
            hostname=connection.getHostname(),
            cpus=connection.getInfo()[2],
            memory_bytes=facts.memory_bytes,
            architecture=facts.architecture,
            warnings=facts.warnings,
        )


def _version(number: int) -> str:
    return f"{number // 1_000_000}.{number // 1_000 % 1_000}.{number % 1_000}"
