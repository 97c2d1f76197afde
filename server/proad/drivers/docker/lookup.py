"""Looking at one container, and telling why the engine refused a verb on it."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from proad.drivers.docker.api import Answer, filters, quoted
from proad.drivers.docker.engine import Engine
from proad.drivers.docker.errors import conflict
from proad.drivers.docker.full_view import full
from proad.drivers.docker.lifetimes import Lifetimes
from proad.drivers.docker.summary_view import summary
from proad.errors import ProaError, ResourceNotFoundError
from proad.model import Resource, Verb, refusal

Json = Mapping[str, Any]

_LIST = "/containers/json"
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,254}")
FULL_ID = re.compile(r"[0-9a-f]{64}")


def path(id: str, action: str = "") -> str:
    """Give the path of a container in the API.

    Docker takes names and prefixes of ids there, too; a driver takes full ids only.

    Raises:
        ResourceNotFoundError: `id` is not a container's full id.
    """
    if not FULL_ID.fullmatch(id):
        raise ResourceNotFoundError(id)
    return f"/containers/{id}{action}"


class Lookup:
    """Reads containers.

    Args:
        engine: where to read.

    Attributes:
        lifetimes: what a SUMMARY takes from elsewhere.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # By the container's id, what its image was called when it was first seen.
        self._images: dict[str, str] = {}
        self.lifetimes = Lifetimes(engine)

    async def close(self) -> None:
        """End what is under way."""
        await self.lifetimes.close()

    async def summaries(self) -> list[Resource]:
        """Give all containers as SUMMARYs, by one call; of those that are new more is asked."""
        items = (await self._engine.get(_LIST, params={"all": 1})).json()
        await self.lifetimes.learn(items, all_there_are=True)
        ids = {item["Id"] for item in items}
        self.lifetimes.keep_only(ids)
        self._images = {id: name for id, name in self._images.items() if id in ids}
        return [self._summary(item) for item in items]

    async def find_summary(self, id: str, *, urgent: bool = False) -> Resource | None:
        """Give one container as SUMMARY, just as `summaries` has it, or None."""
        path(id)  # the filter would take the start of an id, too
        answer = await self._engine.get(_LIST, params=_only(id), urgent=urgent)
        return await self._listed(id, answer, urgent=urgent)

    async def after(self, action: str, id: str) -> tuple[Answer, Resource]:
        """Post an action on a container; give the answer, and what a SUMMARY shows then.

        Raises:
            ResourceNotFoundError: there is no such container.
        """
        answer, listed = await self._engine.post_and_get(path(id, action), _LIST, params=_only(id))
        resource = await self._listed(id, listed)
        if resource is None:
            raise ResourceNotFoundError(id)
        return answer, resource

    async def _listed(self, id: str, answer: Answer, *, urgent: bool = False) -> Resource | None:
        items = answer.json()
        if not items:
            self.forget(id)
            return None
        if not urgent:
            await self.lifetimes.learn(items)
        return self._summary(items[0])

    def _summary(self, item: Json) -> Resource:
        return summary(self._named(item), self.lifetimes.of(item["Id"]))

    async def summary(self, id: str) -> Resource:
        """Give one container as SUMMARY.

        Raises:
            ResourceNotFoundError: there is none.
        """
        resource = await self.find_summary(id)
        if resource is None:
            raise ResourceNotFoundError(id)
        return resource

    def forget(self, id: str) -> None:
        """Drop what is known of a container that is gone."""
        self._images.pop(id, None)
        self.lifetimes.forget(id)

    def _named(self, item: Json) -> Json:
        """Let the image keep its name: once that means another one, Docker lists the id.

        No event tells of that; nor has the container changed.
        """
        if item["Image"] == item["ImageID"]:
            return {**item, "Image": self._images.get(item["Id"], item["Image"])}
        self._images[item["Id"]] = item["Image"]
        return item

    async def find(self, id: str, *, urgent: bool = False) -> Resource | None:
        """Give a container in full, or None."""
        answer = await self._engine.get(path(id, "/json"), urgent=urgent)
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        resource = full(answer.json())
        self.lifetimes.note(resource)
        return resource

    async def get(self, id: str, *, urgent: bool = False) -> Resource:
        """Give a container in full.

        Raises:
            ResourceNotFoundError: there is none.
        """
        resource = await self.find(id, urgent=urgent)
        if resource is None:
            raise ResourceNotFoundError(id)
        return resource

    async def listed_id_of(self, name: str) -> str:
        """Give the id of the container of that name, or an empty string.

        From the list, which no container holds up, as it does its own inspect.
        """
        if not _NAME.fullmatch(name):
            return ""
        which = filters({"name": [f"^/{re.escape(name)}$"]})
        items = (await self._engine.get(_LIST, params={"all": 1, **which})).json()
        # Links of others may bear it, too.
        return next((str(item["Id"]) for item in items if f"/{name}" in item["Names"]), "")

    async def id_of(self, name: str) -> str:
        """Give the id of the container of that name, or an empty string."""
        answer = await self._engine.get(f"/containers/{quoted(name)}/json")
        if answer.status == HTTPStatus.NOT_FOUND:
            return ""
        item: Json = answer.json()
        # What is no name may still be the start of an id.
        return str(item["Id"]) if item["Name"] == f"/{name}" else ""

    async def refused(
        self, verb: Verb, id: str, answer: Answer, *, urgent: bool = False
    ) -> ProaError:
        """Give the error for a verb that the engine refused: look why."""
        resource = await self.find(id, urgent=urgent)
        if resource is None:
            return ResourceNotFoundError(id)
        return refusal(verb, resource) or conflict(answer.status, answer.text)


def _only(id: str) -> dict[str, str | int]:
    return {"all": 1, **filters({"id": [id]})}
