"""From what a caller calls a resource to the resource."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from proad.core.hosts import Hosts
from proad.core.link import Link
from proad.errors import (
    AmbiguousIdError,
    EngineTimedOutError,
    EngineUnreachableError,
    InvalidArgumentError,
    ProaError,
    ResourceNotFoundError,
)
from proad.model import Resource, ResourceKind, ResourceView, with_allowed_verbs

_CONTAINER_ID = re.compile(r"[0-9a-f]{64}")
_CONTAINER_ID_PREFIX = re.compile(r"[0-9a-f]{4,63}")
_DOMAIN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_KINDS = {"container": ResourceKind.CONTAINER, "domain": ResourceKind.DOMAIN}


@dataclass(frozen=True, slots=True)
class Found:
    """A resource and the link that has it. The resource is a SUMMARY, as it is now."""

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

    A full id means itself, whatever others are called. Anything else that fits two
    resources is refused. An engine that does not answer matters only if none of the
    others has what is asked for.
    """

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    async def find(self, text: str) -> Found:
        """Find a resource.

        Raises:
            InvalidArgumentError: `text` cannot be a reference.
            ResourceNotFoundError: nothing is called so.
            AmbiguousIdError: two or more are.
            EngineUnreachableError: an engine that may have it does not answer.
        """
        reference = _Reference.parse(text)
        links = [link for link in self._hosts.links if reference.covers(link)]
        found, failures = await self._by_id(reference, links)
        if not found and not failures:
            found, failures = await self._by_name(reference, links)
        if len(found) > 1:
            raise AmbiguousIdError(text, _candidates(found))
        if found:
            return found[0]
        if failures:
            raise failures[0]
        raise ResourceNotFoundError(text)

    async def _by_id(
        self, reference: _Reference, links: Sequence[Link]
    ) -> tuple[list[Found], list[ProaError]]:
        if _CONTAINER_ID.fullmatch(reference.name):
            kind = ResourceKind.CONTAINER
        elif _DOMAIN_ID.fullmatch(reference.name):
            kind = ResourceKind.DOMAIN
        else:
            return [], []
        return await _gather(
            (link, partial(_get, link, reference.name))
            for link in links
            if kind in link.driver.kinds
        )

    @staticmethod
    async def _by_name(
        reference: _Reference, links: Sequence[Link]
    ) -> tuple[list[Found], list[ProaError]]:
        found, failures = await _gather((link, link.driver.list_resources) for link in links)
        return [f for f in found if reference.means(f.resource)], failures


async def _get(link: Link, id: str) -> list[Resource]:
    try:
        return [await link.driver.get_resource(id, ResourceView.SUMMARY)]
    except ResourceNotFoundError:
        return []


async def _gather(
    questions: Iterable[tuple[Link, Callable[[], Awaitable[list[Resource]]]]],
) -> tuple[list[Found], list[ProaError]]:
    asked = list(questions)
    answers = await asyncio.gather(
        *(link.read(question) for link, question in asked), return_exceptions=True
    )
    found: list[Found] = []
    failures: list[ProaError] = []
    for (link, _question), answer in zip(asked, answers, strict=True):
        match answer:
            case EngineUnreachableError() | EngineTimedOutError():
                failures.append(answer)
            case BaseException():
                raise answer
            case _:
                found += [Found(link, with_allowed_verbs(r, link.host)) for r in answer]
    return found, failures


def _candidates(found: Sequence[Found]) -> list[str]:
    named = [f"{f.link.host}/{f.resource.kind.lower()}/{f.resource.name}" for f in found]
    by_id = [f"{f.link.host}/{f.resource.kind.lower()}/{f.resource.id}" for f in found]
    return named if len(set(named)) == len(named) else by_id
