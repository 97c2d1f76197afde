"""Undo of a recreation: the old container is again what it was.

What a recreation leaves can be told by two marks: the new container has the nonce of its create,
and the old one, once it is set aside, a name of the form `aside` gives. The steps are in such an
order that whenever the undo itself is interrupted, a mark is left of what is still to be done.
"""

import re
from http import HTTPStatus

from proad.drivers.docker.http.engine_client import EngineClient
from proad.drivers.docker.reader import ContainerReader, path
from proad.drivers.docker.spec import changes
from proad.model import ACTIVE, ContainerSpec, Footprint, Resource, RestartPolicy

_OLD, _KEPT = "_proa-old-", "_proa-kept-"
_ASIDE = re.compile(rf".*{_OLD}[0-9a-f]{{8}}")


def aside(name: str, token: str) -> str:
    """Return the name of a container that another one takes the place of."""
    return f"{name}{_OLD}{token}"


class PutBack:
    """Puts containers back that were to be replaced."""

    def __init__(self, engine: EngineClient, reader: ContainerReader) -> None:
        self._engine = engine
        self._reader = reader

    async def put_back(
        self, footprint: Footprint, made: tuple[Resource, ...] | None = None
    ) -> tuple[str, ...]:
        """Start the old container if it ran, remove the new one, and give the old one its name.

        Args:
            footprint: of the recreation.
            made: what the recreation has made; None: look.

        Returns:
            The old container, where somebody else has taken its name meanwhile.
        """
        found = await self._reader.created(footprint.mark) if made is None else made
        old = await self._reader.find(footprint.replaces)
        if old is not None and (found or _ASIDE.fullmatch(old.name)):
            if footprint.start:
                await self._stop(found)
                if old.state not in ACTIVE:
                    await self._engine.post(path(old.id, "/start"))
            if footprint.policy is not None:
                await self.set_policy(old.id, footprint.policy)
        for each in found:
            await self._engine.delete(path(each.id), params={"force": 1, "v": 1})
        if old is not None and _ASIDE.fullmatch(old.name):
            return await self._name(old, footprint.former)
        return ()

    async def set_policy(self, id: str, policy: RestartPolicy) -> None:
        """Set a restart policy, unless the container is gone."""
        body = changes(
            ContainerSpec(image="", restart_policy=policy), frozenset({"restart_policy"})
        )
        await self._engine.post(path(id, "/update"), body=body)

    async def _name(self, old: Resource, former: str) -> tuple[str, ...]:
        """Give the old container its name, or one that tells no later undo to do anything."""
        answer = await self._engine.post(path(old.id, "/rename"), params={"name": former})
        if answer.status != HTTPStatus.CONFLICT:
            return ()
        kept = old.name.replace(_OLD, _KEPT)
        await self._engine.post(path(old.id, "/rename"), params={"name": kept})
        return (f"container {kept}",)

    async def _stop(self, made: tuple[Resource, ...]) -> None:
        """End what may hold the ports of the old one."""
        for each in made:
            await self._engine.post(path(each.id, "/kill"))

    async def finish(self, footprint: Footprint) -> None:
        """Remove the old container, since the new one is in its place."""
        await self._engine.delete(path(footprint.replaces), params={"force": 1, "v": 0})
