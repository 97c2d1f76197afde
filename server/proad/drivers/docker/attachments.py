"""What containers are attached to: networks and volumes, read without a change."""

import asyncio
import re
from collections.abc import Collection
from http import HTTPStatus

from proad.drivers.docker.errors import refused
from proad.drivers.docker.http.api import Answer, quoted
from proad.drivers.docker.http.engine_client import EngineClient
from proad.drivers.tolerant import Value
from proad.model import ContainerNetwork, ContainerVolume

DEFAULT_NETWORK = "bridge"
# Docker's own mark on the network of containers that name none.
_DEFAULT = "com.docker.network.bridge.default_bridge"
# Docker's own rule: what else names no volume, but may be the path of something else.
_VOLUME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")


class DockerAttachments:
    """Reads networks and volumes."""

    def __init__(self, engine: EngineClient) -> None:
        self._engine = engine

    async def volumes(self, names: Collection[str] | None) -> list[ContainerVolume]:
        """Return the volumes of these names that exist; None: all volumes."""
        if names is None:
            return await self._engine.read("/volumes", _listed)
        possible = sorted(filter(_VOLUME.fullmatch, names))
        found = await asyncio.gather(*map(self._volume, possible))
        return [volume for volume in found if volume is not None]

    async def _volume(self, name: str) -> ContainerVolume | None:
        def read(answer: Answer) -> ContainerVolume | None:
            if answer.status == HTTPStatus.NOT_FOUND:
                return None
            if not answer.ok:
                raise refused(answer.status, answer.text)
            return _volume(answer.value())

        return await self._engine.read(f"/volumes/{quoted(name)}", read)

    async def networks(self, names: Collection[str]) -> dict[str, ContainerNetwork]:
        """Return those networks that exist, by what they are called here."""
        found = await asyncio.gather(*map(self._network, names))
        return {
            name: network for name, network in zip(names, found, strict=True) if network is not None
        }

    async def _network(self, name: str) -> ContainerNetwork | None:
        def read(answer: Answer) -> ContainerNetwork | None:
            if answer.status in {HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST}:
                return None
            if not answer.ok:
                raise refused(answer.status, answer.text)
            item = answer.value()
            called = item["Name"].text()
            return ContainerNetwork(
                name=called,
                driver=item["Driver"].text(),
                is_default=called == DEFAULT_NETWORK or item["Options"][_DEFAULT].text() == "true",
            )

        return await self._engine.read(f"/networks/{quoted(name)}", read)


def _listed(answer: Answer) -> list[ContainerVolume]:
    if not answer.ok:
        raise refused(answer.status, answer.text)
    return [_volume(item) for item in answer.value()["Volumes"].each()]


def _volume(item: Value) -> ContainerVolume:
    return ContainerVolume(
        name=item["Name"].text(),
        driver=item["Driver"].text(),
        # An option whose value nobody can read is one, too.
        options={name: value.text() for name, value in item["Options"].entries()},
    )
