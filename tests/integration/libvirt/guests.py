"""Guests that boot, created and deleted by a test."""

import os
import re
import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import libvirt
from lxml import etree

from eventually import eventually
from guest.console import hear
from proad.drivers.libvirt import LibvirtDriver
from proad.errors import ProaError, ResourceNotFoundError
from proad.model import (
    CdromSpec,
    DeleteOptions,
    DiskSpec,
    DomainSpec,
    DomainXml,
    GraphicsSpec,
    GraphicsType,
    NewDisk,
    Resource,
)

MIB = 2**20
ISOS = ("guest.iso", "guest-noagent.iso", "guest-deadagent.iso", "guest-deaf.iso")
BOOT_SECONDS = 120  # seconds; guests are emulated, and the machine may be busy
SCRAP = DeleteOptions(force=True, delete_snapshots=True, delete_saved_state=True)


class Guests:
    """Creates guests with names of one prefix."""

    def __init__(self, driver: LibvirtDriver, raw: libvirt.virConnect, folder: Path) -> None:
        self.driver = driver
        self.raw = raw
        self.folder = folder
        self.prefix = f"proa-test-{secrets.token_hex(4)}"
        self._count = 0

    def spec(self, iso: str = "guest.iso", **fields: Any) -> DomainSpec:
        self._count += 1
        fields = {
            "name": f"{self.prefix}-{self._count}",
            "memory_bytes": 160 * MIB,
            "cdroms": (CdromSpec(path=str(self.folder / iso)),),
            "disks": (DiskSpec(new_volume=NewDisk(capacity_bytes=MIB)),),
            "networkless": True,
            "graphics": GraphicsSpec(type=GraphicsType.NONE),
            **fields,
        }
        return DomainSpec(**fields)

    def blank(self, **fields: Any) -> DomainSpec:
        """Return the spec of a domain that gets no further than its firmware."""
        return self.spec(cdroms=(), memory_bytes=32 * MIB, **fields)

    async def boot(self, iso: str = "guest.iso", **fields: Any) -> Resource:
        spec = self.spec(iso, **fields)
        made = await self.driver.create_domain(spec, start=True)
        await self.ready(made.id)
        if spec.guest_agent and iso == "guest.iso":
            # The guest has opened the port; libvirt may hear of it a moment later.
            await eventually(lambda: self._agent_connected(made.id))
        return await self.driver.get_resource(made.id)

    async def _agent_connected(self, id: str) -> bool:
        domain = (await self.driver.get_resource(id)).domain
        return domain is not None and domain.guest_agent_connected

    async def boot_kernel(self, command_line: str) -> Resource:
        """Boot without a medium, with a kernel command line of the test's own."""
        made = await self.driver.create_domain(self.spec(cdroms=()))
        root = etree.fromstring(await self.driver.get_domain_xml(made.id))
        await self.driver.delete(made.id)
        os_ = root.find("os")
        assert os_ is not None
        etree.SubElement(os_, "kernel").text = str(self.folder / "vmlinuz")
        etree.SubElement(os_, "initrd").text = str(self.folder / "initrd")
        etree.SubElement(
            os_, "cmdline"
        ).text = f"console=ttyS0 quiet cryptomgr.notests {command_line}"
        devices = root.find("devices")
        assert devices is not None
        for disk in devices.findall("disk"):
            devices.remove(disk)
        xml = etree.tostring(root, encoding="unicode")
        made = await self.driver.create_domain_from_xml(DomainXml(xml=xml), start=True)
        await self.ready(made.id)
        return await self.driver.get_resource(made.id)

    async def ready(self, id: str) -> None:
        """Wait until the guest reports that it is up."""
        await self.hear(id, rb"READY")

    async def tick(self, id: str) -> int:
        """Wait for the guest's next tick and return its number."""
        return int((await self.hear(id, rb"TICK (\d+)\r?\n")).group(1))

    async def hear(self, id: str, what: bytes) -> re.Match[bytes]:
        """Wait until new output of the serial console contains a text."""
        return await self.says(id, "", what)

    async def says(self, id: str, command: str, what: bytes) -> re.Match[bytes]:
        """Type a command, if given, on the serial console and wait for an answer."""
        domain = self.raw.lookupByUUIDString(id)
        return await hear(domain, what, command=command, within=BOOT_SECONDS)

    async def volumes(self) -> set[str]:
        """Return the names of the pool's volumes with this prefix."""
        return {
            volume.name
            for volume in await self.driver.list_volumes()
            if volume.name.startswith(self.prefix)
        }

    async def domains(self) -> set[str]:
        """Return the names of the domains with this prefix."""
        names = (resource.name for resource in await self.driver.list_resources())
        return {name for name in names if name.startswith(self.prefix)}

    async def remove_all(self) -> None:
        """Remove everything with this prefix; a failed removal does not stop the others."""
        failures: list[ProaError] = []
        for resource in await self.driver.list_resources():
            if resource.name.startswith(self.prefix):
                try:
                    await self.driver.delete(resource.id, SCRAP)
                except ResourceNotFoundError:  # a transient domain is removed with its stop
                    continue
                except ProaError as error:
                    failures.append(error)
        volumes = {
            volume.path: volume
            for volume in await self.driver.list_volumes()
            if volume.name.startswith(self.prefix)
        }
        while volumes:
            # Delete base volumes after their overlays.
            bases = {volume.base_path for volume in volumes.values()}
            path = next(path for path in volumes if path not in bases)
            volume = volumes.pop(path)
            try:
                await self.driver.delete_volume(volume.pool, volume.name)
            except ProaError as error:
                failures.append(error)
        if failures:
            raise ExceptionGroup("left behind", failures)


def pid_of(resource: Resource) -> int:
    return int(Path(f"/run/libvirt/qemu/{resource.name}.pid").read_text())


@contextmanager
def hanging(resource: Resource) -> Iterator[None]:
    """Stop the QEMU of a domain until the block ends, or QEMU is killed."""
    pid = pid_of(resource)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):  # it was ended
            os.kill(pid, signal.SIGCONT)
