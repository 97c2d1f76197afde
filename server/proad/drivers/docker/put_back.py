"""Undo of a recreation: the old container is again what it was.

What a recreation leaves can be told by two marks: the new container has the nonce of its create,
and the old one, once it is set aside, the name that `aside` gives, which no other recreation does.
The steps are in such an order that whenever the undo itself is interrupted, a mark is left of what
is still to be done.
"""

from http import HTTPStatus

from proad.drivers.docker.http.engine_client import EngineClient
from proad.drivers.docker.reader import ContainerReader, path
from proad.drivers.docker.spec import changes
from proad.model import ACTIVE, ContainerSpec, Footprint, Resource, RestartPolicy

_OLD, _NEW, _KEPT = "_proa-old-", "_proa-new-", "_proa-kept-"
_DIGITS = 8


def aside(footprint: Footprint) -> str:
    """Return the name of a container while another one takes the place of it."""
    return _marked(footprint.former, _OLD, footprint)


def _marked(name: str, what: str, footprint: Footprint) -> str:
    return f"{name}{what}{footprint.mark[:_DIGITS]}"


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
        if old is None and any(each.name == footprint.name for each in found):
            return ()  # the new one is in its place, and is all that there is
        is_aside = old is not None and old.name == aside(footprint)
        if old is not None and (found or is_aside):
            if footprint.start:
                await self._stop(footprint, found)
                if old.state not in ACTIVE:
                    await self._engine.post(path(old.id, "/start"))
            if footprint.policy is not None:
                await self.set_policy(old.id, footprint.policy)
        for each in found:
            await self._engine.delete(path(each.id), params={"force": 1, "v": 1})
        if old is not None and is_aside:
            return await self._name(old, footprint)
        return ()

    async def set_policy(self, id: str, policy: RestartPolicy) -> None:
        """Set a restart policy, unless the container is gone."""
        body = changes(
            ContainerSpec(image="", restart_policy=policy), frozenset({"restart_policy"})
        )
        await self._engine.post(path(id, "/update"), body=body)

    async def _name(self, old: Resource, footprint: Footprint) -> tuple[str, ...]:
        """Give the old container its name, or one that tells no later undo to do anything."""
        former = footprint.former
        answer = await self._engine.post(path(old.id, "/rename"), params={"name": former})
        if answer.status != HTTPStatus.CONFLICT:
            return ()
        kept = _marked(former, _KEPT, footprint)
        await self._engine.post(path(old.id, "/rename"), params={"name": kept})
        return (f"container {kept}",)

    async def _stop(self, footprint: Footprint, made: tuple[Resource, ...]) -> None:
        """End what may hold the ports of the old one, and is not complete from then on."""
        for each in made:
            if each.name == footprint.name:
                params = {"name": _marked(each.name, _NEW, footprint)}
                await self._engine.post(path(each.id, "/rename"), params=params)
            await self._engine.post(path(each.id, "/kill"))

    async def finish(self, footprint: Footprint) -> None:
        """Remove the old container, since the new one is in its place."""
        await self._engine.delete(path(footprint.replaces), params={"force": 1, "v": 0})
