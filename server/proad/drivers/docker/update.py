"""Update of containers."""

from dataclasses import replace
from http import HTTPStatus
from typing import Any

from proad.drivers.docker.errors import ENGINE
from proad.drivers.docker.http.engine_client import EngineClient
from proad.drivers.docker.names import require_container_name
from proad.drivers.docker.reader import ContainerReader, path
from proad.drivers.docker.spec import changes
from proad.errors import (
    AlreadyExistsError,
    CapabilityMissingError,
    InvalidArgumentError,
)
from proad.model import (
    ChangeEffect,
    ContainerResources,
    ContainerSpec,
    Resource,
    ResourceUpdate,
    Updated,
    UpdatePlan,
    Verb,
    refusal,
)
from proad.model.update import LIMIT_PATHS, LIMITS

_UNLIMITED = -1
_MEMORY, _SWAP = "resources.memory_bytes", "resources.memory_swap_bytes"
# In an update, Docker takes zero and an empty text of these for "unchanged".
_STICKY = LIMIT_PATHS - {"resources.pids_limit"}
_CHANGEABLE = LIMIT_PATHS | {"name", "restart_policy"}
_ANEW = "RecreateContainer makes it again with other values"


class ContainerUpdater:
    """Renames containers and changes their limits and restart policy."""

    def __init__(self, engine: EngineClient, reader: ContainerReader) -> None:
        self._engine = engine
        self._reader = reader

    async def update(self, id: str, update: ResourceUpdate) -> Updated:
        """Change what `update` names, which Docker applies at once; see `ports.Updates`."""
        resource, plan = await self._planned(id, update)
        plan.check()
        wanted = update.wanted(ContainerSpec)
        have = _limits_of(resource)
        body = changes(*_with_swap(have, wanted, update.paths))
        if body:  # first, since Docker may refuse the values: a name that was free is given
            answer = await self._engine.post(path(id, "/update"), body=body)
            if not answer.ok:
                raise await self._reader.refused(Verb.UPDATE, id, answer, wish=update)
        if "name" in update.paths and wanted.name != resource.name:
            await self._rename(id, wanted.name)
        return Updated(resource=await self._reader.get(id))

    async def plan(self, id: str, update: ResourceUpdate) -> UpdatePlan:
        """Return what an update would do; see `ports.Updates`."""
        return (await self._planned(id, update))[1]

    async def _planned(self, id: str, update: ResourceUpdate) -> tuple[Resource, UpdatePlan]:
        """Return the container with the plan of an update of it."""
        wanted = update.wanted(ContainerSpec)
        resource = await self._reader.get(id)
        if error := refusal(Verb.UPDATE, resource):
            raise error
        plan = update.planned(_CHANGEABLE, driver=ENGINE, hint=_ANEW)
        plan = _with_lifted_limits(plan, _limits_of(resource), update, wanted)
        if "name" in update.paths and wanted.name != resource.name:
            require_container_name(wanted.name, "container.name")
            if owner := await self._reader.listed_id_of(wanted.name):
                raise AlreadyExistsError("container", wanted.name, existing_id=owner)
        return resource, plan

    async def _rename(self, id: str, name: str) -> None:
        answer = await self._engine.post(path(id, "/rename"), params={"name": name})
        match answer.status:
            case HTTPStatus.NO_CONTENT:
                return
            case HTTPStatus.BAD_REQUEST:
                raise InvalidArgumentError.of("container.name", answer.text)
            case HTTPStatus.CONFLICT if owner := await self._reader.id_of(name):
                raise AlreadyExistsError("container", name, existing_id=owner)
        raise await self._reader.refused(Verb.UPDATE, id, answer)


def _with_swap(
    have: ContainerResources, wanted: ContainerSpec, paths: frozenset[str]
) -> tuple[ContainerSpec, frozenset[str]]:
    """Set swap as a create would: Docker refuses memory beyond the swap limit."""
    memory = wanted.resources.memory_bytes or 0
    swap_limit = _limit(have, "memory_swap_bytes")
    if _MEMORY not in paths or _SWAP in paths or memory <= swap_limit:
        return wanted, paths
    unlimited = swap_limit == _UNLIMITED
    swap = _UNLIMITED if unlimited else 2 * memory
    resources = replace(wanted.resources, memory_swap_bytes=swap)
    return replace(wanted, resources=resources), paths | {_SWAP}


def _limits_of(resource: Resource) -> ContainerResources:
    spec = resource.container and resource.container.spec
    return spec.resources if spec else ContainerResources()


def _with_lifted_limits(
    plan: UpdatePlan, have: ContainerResources, update: ResourceUpdate, wanted: ContainerSpec
) -> UpdatePlan:
    """Return a plan that refuses to lift a limit where Docker would silently leave it in force."""
    fields = (path.partition(".")[2] for path in sorted(update.paths & _STICKY))
    lifted = [
        field for field in fields if _limit(have, field) and not getattr(wanted.resources, field)
    ]
    if not lifted:
        return plan
    anew = {f"{LIMITS}.{field}": ChangeEffect.RECREATE for field in lifted}
    refused = CapabilityMissingError(
        f"lifting the limit {', '.join(lifted)} of a container",
        driver=ENGINE,
        hint=f"set a higher one; {_ANEW}",
    )
    return UpdatePlan(effects={**plan.effects, **anew}, refusal=plan.refusal or refused)


def _limit(have: ContainerResources, field: str) -> Any:
    """Return a limit that is in force; of swap, Docker's own, which a specification leaves out."""
    if field == "memory_swap_bytes" and have.memory_swap_bytes is None:
        return 2 * (have.memory_bytes or 0)
    return getattr(have, field)
