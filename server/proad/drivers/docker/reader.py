"""Reads of containers, and the reasons why the engine refused a verb."""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus

from proad.drivers.docker.errors import refused
from proad.drivers.docker.full_view import full
from proad.drivers.docker.http.api import Answer, filters, quoted
from proad.drivers.docker.http.engine_client import EngineClient
from proad.drivers.docker.image_names import ImageConfigs, ImageNames
from proad.drivers.docker.labels import CREATION_LABEL, labelled_secrets
from proad.drivers.docker.request_fields import Wish
from proad.drivers.docker.summary_cache import SummaryCache
from proad.drivers.docker.summary_view import summary
from proad.drivers.docker.timing import DockerTiming
from proad.drivers.docker.view import environment
from proad.drivers.tolerant import NOTHING, Value
from proad.errors import (
    EngineConflictError,
    EngineTimedOutError,
    InUseError,
    ProaError,
    ResourceNotFoundError,
)
from proad.model import (
    NETWORK_OF,
    Resource,
    ResourceState,
    ResourceUpdate,
    StateDetail,
    StateReason,
    Verb,
    refusal,
)
from proad.model.verbs import entering_refusal

_LIST = "/containers/json"
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,254}")
# States of what is being removed, or could not be.
_DOOMED = frozenset({ResourceState.REMOVING, ResourceState.FAILED})
FULL_ID = re.compile(r"[0-9a-f]{64}")


def path(id: str, action: str = "") -> str:
    """Return the path of a container in the API.

    Docker takes names and prefixes of ids there, too; a driver takes full ids only.

    Raises:
        ResourceNotFoundError: `id` is not a container's full id.
    """
    if not FULL_ID.fullmatch(id):
        raise ResourceNotFoundError(id)
    return f"/containers/{id}{action}"


class ContainerReader:
    """Reads containers.

    Args:
        engine: where to read.
        inspect_removal: duration of the inspect of a container that is being removed.

    Attributes:
        cache: the last SUMMARYs.
        cgroupns: the engine's default mode of cgroup namespaces; empty until it is known.
    """

    def __init__(
        self,
        engine: EngineClient,
        inspect_removal: timedelta = DockerTiming().inspect_removal,
    ) -> None:
        self._engine = engine
        self._inspect_removal = inspect_removal
        self.cache = SummaryCache()
        # Containers whose removal failed: they stay so until somebody tries again.
        self._given_up: set[str] = set()
        self._image_names = ImageNames()
        self._images = ImageConfigs()
        self.cgroupns = ""

    async def summaries(self) -> list[Resource]:
        """Return all containers as SUMMARYs, by one call of the API."""
        clock = self.cache.clock
        found = await self._engine.read(_LIST, summaries_of, params={"all": 1})
        self._image_names.keep(found)
        self._image_names.forget_others(found)
        await self._removals(found)
        self.cache.put(found.values(), clock)
        return list(found.values())

    async def find_summary(self, id: str, *, urgent: bool = False) -> Resource | None:
        """Return one container as SUMMARY, just as `summaries` has it, or None."""
        path(id)  # the filter would take the start of an id, too
        clock = self.cache.clock
        found = await self._engine.read(_LIST, summaries_of, params=_only(id), urgent=urgent)
        self._image_names.keep(found)
        self.cache.put(found.values(), clock)
        return await self._found(id, found, urgent=urgent)

    async def after(self, action: str, id: str) -> tuple[Answer, Resource]:
        """Post an action on a container; return the answer, and the SUMMARY afterwards.

        Raises:
            ResourceNotFoundError: there is no such container.
        """
        answer, found = await self._engine.post_and_read(
            path(id, action), _LIST, summaries_of, params=_only(id)
        )
        self._image_names.keep(found)
        resource = await self._found(id, found)
        if resource is None:
            raise ResourceNotFoundError(id)
        return answer, resource

    async def _found(
        self, id: str, found: dict[str, Resource], *, urgent: bool = False
    ) -> Resource | None:
        resource = found.get(id)
        if resource is None:
            self._image_names.forget(id)
        if resource is not None and resource.state in _DOOMED:
            resource = await self._as_it_is(resource, urgent=urgent)
        return resource

    async def _as_it_is(self, listed: Resource, *, urgent: bool = False) -> Resource | None:
        """Return REMOVING for a removal under way, FAILED for one that failed, or None.

        A list calls both "removing" before Docker 28, and both "dead" from then on. An inspect
        says "dead" for a moment at the end of each removal, too.
        """
        id = listed.id
        try:
            full = await self.find(id, urgent=urgent, timeout=self._inspect_removal)
            if full is not None and full.state is ResourceState.FAILED:
                found = await self._engine.read(
                    _LIST, summaries_of, params=_only(id), urgent=urgent
                )
                full = full if id in found else None
        except (EngineConflictError, EngineTimedOutError):
            return listed
        if full is None:
            return None
        self._given_up.discard(id)
        if full.state is ResourceState.FAILED:
            self._given_up.add(id)
        reason = full.state_detail.reason
        return replace(listed, state=full.state, state_detail=StateDetail(reason=reason))

    async def _removals(self, found: dict[str, Resource]) -> None:
        """Inspect each container that is listed as being removed, unless its removal has failed."""
        doomed = [each for each in found.values() if each.state in _DOOMED]
        self._given_up.intersection_update(each.id for each in doomed)
        asked = [each for each in doomed if each.id not in self._given_up]
        answers = await asyncio.gather(*map(self._as_it_is, asked))
        for each, answer in zip(asked, answers, strict=True):
            if answer is None:
                del found[each.id]
            else:
                found[each.id] = answer
        # A read in between may have added one.
        for id in self._given_up & found.keys():
            failed = StateDetail(reason=StateReason.ERROR)
            found[id] = replace(found[id], state=ResourceState.FAILED, state_detail=failed)

    async def summary(self, id: str) -> Resource:
        """Return one container as SUMMARY.

        Raises:
            ResourceNotFoundError: there is none.
        """
        resource = await self.find_summary(id)
        if resource is None:
            raise ResourceNotFoundError(id)
        return resource

    async def find(
        self,
        id: str,
        *,
        urgent: bool = False,
        timeout: timedelta | None = None,  # noqa: ASYNC109 - raises our own error
    ) -> Resource | None:
        """Return a container in full, or None."""

        def read(answer: Answer) -> Resource | Value | None:
            if answer.status == HTTPStatus.NOT_FOUND:
                return None
            item = answer.value(id)
            image_id = item["Image"].text()
            image = self._images.get(image_id) if image_id else NOTHING
            return item if image is None else full(item, id, image, cgroupns=self.cgroupns)

        found = await self._engine.read(path(id, "/json"), read, urgent=urgent, timeout=timeout)
        if not isinstance(found, Value):
            return found
        item, image_id = found, found["Image"].text()

        def read_image(answer: Answer) -> Resource:
            image = answer.value()["Config"] if answer.ok else NOTHING
            if answer.ok:  # what is gone may come back, by a pull
                self._images.put(image_id, image)
            return full(item, id, image, cgroupns=self.cgroupns)

        image_path = f"/images/{quoted(image_id)}/json"
        return await self._engine.read(image_path, read_image, urgent=urgent, timeout=timeout)

    async def get(self, id: str, *, urgent: bool = False) -> Resource:
        """Return a container in full.

        Raises:
            ResourceNotFoundError: there is none.
        """
        resource = await self.find(id, urgent=urgent)
        if resource is None:
            raise ResourceNotFoundError(id)
        return resource

    async def running(self, id: str) -> Resource:
        """Return a container that runs, in full.

        Raises:
            ResourceNotFoundError: there is none.
            StateError: it does not run.
        """
        resource = await self.get(id)
        if error := entering_refusal(resource):
            raise error
        return resource

    async def layer_size(self, id: str) -> int:
        """Return the bytes of a container's writable layer, which the engine counts anew.

        Raises:
            ResourceNotFoundError: there is no such container.
        """
        answer = await self._engine.get(path(id, "/json"), params={"size": 1})
        if answer.status == HTTPStatus.NOT_FOUND:
            raise ResourceNotFoundError(id)
        return answer.value(id)["SizeRw"].count()

    async def env_secrets(self, id: str) -> dict[str, str]:
        """Return the secrets in a container's environment.

        Raises:
            ResourceNotFoundError: there is no such container.
        """
        answer = await self._engine.get(path(id, "/json"))
        if answer.status == HTTPStatus.NOT_FOUND:
            raise ResourceNotFoundError(id)
        item = answer.value(id)
        config = item["Config"]
        names = labelled_secrets(config["Labels"].mapping(), item["Image"].text())
        env = environment(config["Env"].texts())
        return {name: value for name, value in env.items() if name in names}

    async def listed_id_of(self, name: str) -> str:
        """Return the id of the container of that name, or an empty string.

        Read it from the list, since a hung container delays its own inspect.
        """
        if not _NAME.fullmatch(name):
            return ""
        which = filters({"name": [f"^/{re.escape(name)}$"]})
        answer = await self._engine.get(_LIST, params={"all": 1, **which})
        # A link of another container may have the name, too.
        return next((id for id, item in _items(answer) if f"/{name}" in item["Names"].texts()), "")

    async def runs(self, ref: str) -> bool:
        """Return whether there is a container of that name, id or prefix, and it is active."""
        answer = await self._engine.get(f"/containers/{quoted(ref)}/json")
        return answer.ok and answer.value()["State"]["Running"].flag()

    async def in_network_of(self, id: str) -> list[str]:
        """Return the names of the containers that are in the network of another one."""
        answer = await self._engine.get(_LIST, params={"all": 1})
        return sorted(
            next(iter(item["Names"].texts()), "").removeprefix("/") or each
            for each, item in _items(answer)
            if item["HostConfig"]["NetworkMode"].text() == f"{NETWORK_OF}{id}"
        )

    async def id_of(self, name: str) -> str:
        """Return the id of the container of that name, or an empty string."""
        answer = await self._engine.get(f"/containers/{quoted(name)}/json")
        if answer.status == HTTPStatus.NOT_FOUND:
            return ""
        item = answer.value()
        # The engine takes the start of an id for a name.
        return item["Id"].text() if item["Name"].text() == f"/{name}" else ""

    async def created(self, nonce: str) -> tuple[Resource, ...]:
        """Return the container that a create made, as SUMMARY."""
        marked = filters({"label": [f"{CREATION_LABEL}={nonce}"]})
        params: dict[str, str | int] = {"all": 1, **marked}
        listed = await self._engine.read(_LIST, summaries_of, params=params)
        return tuple(each for each in listed.values() if each.creation == nonce)

    async def refused(
        self,
        verb: Verb,
        id: str,
        answer: Answer,
        *,
        urgent: bool = False,
        wish: ResourceUpdate | None = None,
    ) -> ProaError:
        """Return the error for a verb that the engine refused, by reading the container."""
        resource = await self.find(id, urgent=urgent)
        if resource is None:
            return ResourceNotFoundError(id)
        return refusal(verb, resource) or await self.failure(answer, wish)

    async def failure(self, answer: Answer, wish: Wish | None = None) -> ProaError:
        """Return the error of a refusal, and name the containers that publish a port in use."""
        error = refused(answer.status, answer.text, wish)
        if not isinstance(error, InUseError) or error.what != "port":
            return error
        number = error.name.rpartition(":")[2]
        running = await self._engine.read(_LIST, lambda listed: dict(_items(listed)), params={})
        users = [
            next(iter(item["Names"].texts()), "").removeprefix("/") or id
            for id, item in running.items()
            if any(str(port["PublicPort"].count()) == number for port in item["Ports"].each())
        ]
        return InUseError.of_the_host("port", error.name, users)


def _items(answer: Answer) -> Iterator[tuple[str, Value]]:
    """Return the entries of a list by id; one without can be nobody's."""
    for item in answer.value().each():
        if FULL_ID.fullmatch(id := item["Id"].text()):
            yield id, item.about(id)
        else:
            item["Id"].omit("the id of a container")


def summaries_of(answer: Answer) -> dict[str, Resource]:
    """Return the SUMMARYs of a list, but for what the list does not tell."""
    return {id: summary(item, id) for id, item in _items(answer)}


def _only(id: str) -> dict[str, str | int]:
    return {"all": 1, **filters({"id": [id]})}
