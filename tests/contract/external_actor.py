"""External actors: changes made with an engine's own API, not through a driver."""

import asyncio
from collections.abc import Callable
from typing import Protocol

import docker
import libvirt
from lxml import etree

from proad.model import Verb

_MEMORY = 96 * 2**20


class ExternalActor(Protocol):
    async def make(self, name: str) -> str:
        """Create a workload and return its id."""

    async def do(self, verb: Verb, id: str) -> None:
        """Start, kill, pause, resume or delete a workload, or set other limits on a stopped one."""

    async def rename(self, id: str, name: str) -> None:
        """Rename a stopped workload."""


class DomainExternalActor(ExternalActor, Protocol):
    async def autostart(self, id: str, *, on: bool) -> None:
        """Set whether a domain starts with its host."""


class DockerExternalActor:
    def __init__(self, client: docker.APIClient, image: str) -> None:
        self._client = client
        self._image = image

    async def make(self, name: str) -> str:
        def make() -> str:
            made = self._client.create_container(self._image, ["sleep", "3600"], name=name)
            return str(made["Id"])

        return await asyncio.to_thread(make)

    async def do(self, verb: Verb, id: str) -> None:
        calls: dict[Verb, Callable[[str], object]] = {
            Verb.START: self._client.start,
            Verb.STOP: self._client.kill,
            Verb.PAUSE: self._client.pause,
            Verb.RESUME: self._client.unpause,
            Verb.DELETE: self._client.remove_container,
            Verb.UPDATE: self._limit,
        }
        await asyncio.to_thread(calls[verb], id)

    async def rename(self, id: str, name: str) -> None:
        await asyncio.to_thread(self._client.rename, id, name)

    def _limit(self, id: str) -> None:
        self._client.update_container(id, mem_limit=_MEMORY, memswap_limit=_MEMORY)


class LibvirtExternalActor:
    def __init__(self, connection: libvirt.virConnect, virt_type: str) -> None:
        self._connection = connection
        self._virt_type = virt_type

    async def make(self, name: str) -> str:
        xml = f"""
            <domain type='{self._virt_type}'>
              <name>{name}</name><memory>65536</memory><os><type>hvm</type></os>
            </domain>"""

        def make() -> str:
            return str(self._connection.defineXML(xml).UUIDString())

        return await asyncio.to_thread(make)

    async def do(self, verb: Verb, id: str) -> None:
        calls: dict[Verb, Callable[[libvirt.virDomain], object]] = {
            Verb.START: libvirt.virDomain.create,
            Verb.STOP: libvirt.virDomain.destroy,
            Verb.PAUSE: libvirt.virDomain.suspend,
            Verb.RESUME: libvirt.virDomain.resume,
            Verb.DELETE: libvirt.virDomain.undefine,
            Verb.UPDATE: self._limit,
        }

        await asyncio.to_thread(lambda: calls[verb](self._connection.lookupByUUIDString(id)))

    async def rename(self, id: str, name: str) -> None:
        await asyncio.to_thread(lambda: self._connection.lookupByUUIDString(id).rename(name))

    async def autostart(self, id: str, *, on: bool) -> None:
        await asyncio.to_thread(
            lambda: self._connection.lookupByUUIDString(id).setAutostart(int(on))
        )

    def _limit(self, domain: libvirt.virDomain) -> None:
        root = etree.fromstring(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
        for tag in ("memory", "currentMemory"):
            element = root.find(tag)
            assert element is not None
            element.text = str(_MEMORY // 1024)
        self._connection.defineXML(etree.tostring(root, encoding="unicode"))
