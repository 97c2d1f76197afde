"""Update of containers."""

from dataclasses import replace
from http import HTTPStatus

from proad.drivers.docker.errors import ENGINE
from proad.drivers.docker.http.engine_client import EngineClient
from proad.drivers.docker.reader import ContainerReader, path
from proad.drivers.docker.spec import changes
from proad.errors import (
    AlreadyExistsError,
    CapabilityMissingError,
    InvalidArgumentError,
    ResourceNotFoundError,
)
from proad.model import (
    ContainerResources,
    ContainerUpdate,
    ResourceUpdate,
    Updated,
    Verb,
    refusal,
)

_UNLIMITED = -1


class ContainerUpdater:
    """Renames containers and changes their limits and restart policy."""

    def __init__(self, engine: EngineClient, reader: ContainerReader) -> None:
        self._engine = engine
        self._reader = reader

    async def update(self, id: str, update: ResourceUpdate) -> Updated:
        """Change what `update` names, which Docker applies at once; see `ports.Updates`."""
        if update.domain is not None:
            raise InvalidArgumentError.of("domain", "this is a container; set container instead")
        if update.labels is not None:
            raise CapabilityMissingError(
                "changing the labels of a container",
                driver=ENGINE,
                hint="create it anew with other labels",
            )
        resource = await self._reader.get(id)
        if error := refusal(Verb.UPDATE, resource):
            raise error
        body = {}
        if update.container is not None:
            have = (resource.container and resource.container.resources) or ContainerResources()
            _check_lifted_limits(have, update.container)
            body = changes(_with_swap(have, update.container))
        if update.name is not None and update.name != resource.name:
            await self._rename(id, update.name)
        if body:
            answer = await self._engine.post(path(id, "/update"), body=body)
            if not answer.ok:
                raise await self._reader.refused(Verb.UPDATE, id, answer, wish=update.container)
        return Updated(resource=await self._reader.get(id))

    async def _rename(self, id: str, name: str) -> None:
        answer = await self._engine.post(path(id, "/rename"), params={"name": name})
        match answer.status:
            case HTTPStatus.NO_CONTENT:
                return
            case HTTPStatus.BAD_REQUEST:
                raise InvalidArgumentError.of("name", answer.text)
            case HTTPStatus.NOT_FOUND:
                raise ResourceNotFoundError(id)
            case HTTPStatus.CONFLICT if owner := await self._reader.id_of(name):
                raise AlreadyExistsError("container", name, existing_id=owner)
        raise await self._reader.refused(Verb.UPDATE, id, answer)


def _with_swap(have: ContainerResources, update: ContainerUpdate) -> ContainerUpdate:
    """Set swap as a create would: Docker refuses memory beyond the swap limit."""
    wanted = update.memory_bytes or 0
    if update.memory_swap_bytes is not None or wanted <= have.memory_swap_bytes:
        return update
    unlimited = have.memory_swap_bytes == _UNLIMITED
    return replace(update, memory_swap_bytes=_UNLIMITED if unlimited else 2 * wanted)


def _check_lifted_limits(have: ContainerResources, update: ContainerUpdate) -> None:
    """Refuse to lift a limit where Docker would silently leave it in force."""
    lifted = [
        field
        for field, wanted, present in (
            ("memory_bytes", update.memory_bytes, have.memory_bytes),
            ("memory_swap_bytes", update.memory_swap_bytes, have.memory_swap_bytes),
            ("cpus", update.cpus, have.cpus),
            ("cpuset_cpus", update.cpuset_cpus, have.cpuset_cpus),
        )
        if wanted is not None and not wanted and present
    ]
    if lifted:
        raise CapabilityMissingError(
            f"lifting the limit {', '.join(lifted)} of a container",
            driver=ENGINE,
            hint="set a higher one, or create it anew",
        )
