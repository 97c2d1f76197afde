"""What containers are attached to: networks and volumes, read without a change."""

import asyncio
import re
from collections.abc import Collection
from http import HTTPStatus

from proad.drivers.docker.errors import refused
from proad.drivers.docker.http.api import Answer, quoted
from proad.drivers.docker.http.engine_client import EngineClient
from proad.drivers.tolerant import Value
from proad.model import ContainerVolume

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

    async def network_drivers(self, names: Collection[str]) -> dict[str, str]:
        """Return the drivers of those networks that exist."""
        drivers = await asyncio.gather(*map(self._network_driver, names))
        return {name: driver for name, driver in zip(names, drivers, strict=True) if driver}

    async def _network_driver(self, name: str) -> str:
        def read(answer: Answer) -> str:
            if answer.status in {HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST}:
                return ""
            if not answer.ok:
                raise refused(answer.status, answer.text)
            return answer.value()["Driver"].text()

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
