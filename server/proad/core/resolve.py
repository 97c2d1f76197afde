"""From what a caller calls a resource to the resource."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from proad.core.hosts import Hosts
from proad.core.inventory import Inventory
from proad.core.inventory.picture import Known
from proad.core.link import Link
from proad.errors import (
    AmbiguousIdError,
    EngineTimedOutError,
    InvalidArgumentError,
    ProaError,
    ResourceNotFoundError,
)
from proad.model import Resource, ResourceKind

T = TypeVar("T")

LOOK_WITHIN = 2.0
"""Seconds that a look may take at what a name could mean as well."""

NAME_WITHIN = 0.5
"""Seconds that an engine has to say whether it has a name that nobody has heard of."""

_CONTAINER_ID = re.compile(r"[0-9a-f]{64}")
_CONTAINER_ID_PREFIX = re.compile(r"[0-9a-f]{4,63}")
_DOMAIN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_KINDS = {"container": ResourceKind.CONTAINER, "domain": ResourceKind.DOMAIN}


@dataclass(frozen=True, slots=True)
class Found:
    """A resource and the link that has it. The resource is a SUMMARY."""

    link: Link
    resource: Resource


@dataclass(frozen=True, slots=True)
class _Reference:
    """What a caller wrote: [[HOST/]KIND/]NAME."""

    text: str
    name: str
    kind: ResourceKind | None
    host: str | None

    @classmethod
    def parse(cls, text: str) -> "_Reference":
        *qualifiers, name = text.split("/")
        if not name or len(qualifiers) > 2 or (qualifiers and qualifiers[-1] not in _KINDS):  # noqa: PLR2004 - host and kind
            raise InvalidArgumentError.of(
                "id", "must be an id or a name, or one of them as container/NAME or domain/NAME"
            )
        kind = _KINDS[qualifiers[-1]] if qualifiers else None
        return cls(text, name, kind, qualifiers[0] if len(qualifiers) > 1 else None)

    @property
    def id_kind(self) -> ResourceKind | None:
        """The kind whose full id this is; None: it is none."""
        if _CONTAINER_ID.fullmatch(self.name):
            return ResourceKind.CONTAINER
        return ResourceKind.DOMAIN if _DOMAIN_ID.fullmatch(self.name) else None

    def covers(self, link: Link) -> bool:
        return self.host in {None, link.host} and (
            self.kind is None or self.kind in link.driver.kinds
        )

    def means(self, resource: Resource) -> bool:
        if self.kind not in {None, resource.kind}:
            return False
        return self.name in {resource.name, resource.id} or (
            resource.kind is ResourceKind.CONTAINER
            and _CONTAINER_ID_PREFIX.fullmatch(self.name) is not None
            and resource.id.startswith(self.name)
        )


class Resolver:
    """Finds the one resource that an id, a prefix of one or a name means.

    It looks into the inventory; for a full id or a name that is not there, it asks the
    engines. A full id means itself, whatever others are called. Anything else that fits two
    resources is refused, unless a look shows that only one of them is left: a name goes
    from one container to the next before the engine has told of either. An engine that does
    not answer matters only if none of the others has what is asked for.
    """

    def __init__(self, hosts: Hosts, inventory: Inventory) -> None:
        self._hosts = hosts
        self._inventory = inventory
        self._links = {link.name: link for link in hosts.links}

    async def find(self, text: str) -> Found:
        """Find a resource.

        Raises:
            InvalidArgumentError: `text` cannot be a reference.
            ResourceNotFoundError: nothing is called so.
            AmbiguousIdError: two or more are.
            EngineUnreachableError: an engine that may have it does not answer.
        """
        # First the way of most calls, which is the shortest.
        found = self._with_id(text)
        if len(found) == 1:
            return found[0]
        reference = _Reference.parse(text)
        links = [link for link in self._hosts.links if reference.covers(link)]
        true = [link for link in links if self._inventory.mirror(link).synced]
        found = self._search(reference, true)
        if not found and len(true) < len(links):
            # It may be where we cannot look, or not yet.
            for link in links:
                await self._inventory.mirror(link).ready()
            true = links
            found = self._search(reference, true)
        if len(found) > 1:
            await asyncio.gather(*map(self._look, found))
            found = self._search(reference, true)
        if not found:
            found = await self._ask(reference, links)
        if len(found) > 1:
            raise AmbiguousIdError(text, _candidates(found))
        if not found:
            raise ResourceNotFoundError(text)
        return found[0]

    async def use(self, text: str, action: Callable[[Found], Awaitable[T]]) -> T:
        """Find a resource and do something with it.

        If it has gone meanwhile and its name is another's, that one is meant. Errors are
        those of `find` and of `action`.
        """
        found = await self.find(text)
        try:
            return await action(found)
        except ResourceNotFoundError:
            again = await self.find(text)
            was, now = found.resource, again.resource
            if (now.host, now.id) == (was.host, was.id) or now.name != was.name:
                raise
        return await action(again)

    def _with_id(self, id: str) -> list[Found]:
        """Find what has this full id, on the engines whose picture is true."""
        found = (
            Found(self._links[known.engine], known.shown)
            for known in self._inventory.picture.with_id(id)
        )
        return [one for one in found if self._inventory.mirror(one.link).synced]

    def _search(self, reference: _Reference, links: Sequence[Link]) -> list[Found]:
        by_name = {link.name: link for link in links}
        picture = self._inventory.picture
        found: list[Found] = []
        if reference.id_kind is not None:
            found = _among(picture.with_id(reference.name), reference, by_name)
        if not found:
            found = _among(picture.named(reference.name), reference, by_name)
            if _CONTAINER_ID_PREFIX.fullmatch(reference.name):
                found += [f for f in _among(picture, reference, by_name) if f not in found]
        return found

    async def _look(self, found: Found) -> None:
        """Have the picture of a resource made true; where that fails it stays as it is."""
        with suppress(ProaError, TimeoutError):
            async with asyncio.timeout(LOOK_WITHIN):
                await self._inventory.looks(found.link).look(found.resource.id)

    async def _ask(self, reference: _Reference, links: Sequence[Link]) -> list[Found]:
        """Ask the engines: somebody may have made it a moment ago."""
        answers = await asyncio.gather(*(self._ask_one(reference, link) for link in links))
        return [found for found in answers if found is not None]

    async def _ask_one(self, reference: _Reference, link: Link) -> Found | None:
        id = reference.name
        if reference.id_kind not in link.driver.kinds:
            id = await _find_id(reference.name, link)
        known = await self._inventory.looks(link).look(id) if id else None
        return Found(link, known.shown) if known and reference.means(known.seen) else None


async def _find_id(name: str, link: Link) -> str:
    """Ask an engine for a name; one that hangs is taken not to have it."""
    with suppress(TimeoutError, EngineTimedOutError):
        async with asyncio.timeout(NAME_WITHIN):
            return await link.read(lambda: link.driver.find_id(name))
    return ""


def _among(
    candidates: Iterable[Known], reference: _Reference, links: Mapping[str, Link]
) -> list[Found]:
    return [
        Found(links[known.engine], known.shown)
        for known in candidates
        if known.engine in links and reference.means(known.seen)
    ]


def _candidates(found: Sequence[Found]) -> list[str]:
    named = [f"{f.link.host}/{f.resource.kind.lower()}/{f.resource.name}" for f in found]
    by_id = [f"{f.link.host}/{f.resource.kind.lower()}/{f.resource.id}" for f in found]
    return named if len(set(named)) == len(named) else by_id
