"""What creates have made, found again by the nonce of each: after a failure, or a crash."""

from proad.drivers.docker.http.api import filters, quoted
from proad.drivers.docker.http.engine_client import EngineClient
from proad.drivers.docker.labels import CREATION_LABEL
from proad.drivers.docker.put_back import PutBack
from proad.drivers.docker.reader import ContainerReader, path
from proad.drivers.under_way import CreatesUnderWay
from proad.model import ACTIVE, Footprint, Found, Resource, StateReason


class ContainerRecovery:
    """Finds and removes what is labelled with the nonce of a create."""

    def __init__(
        self, engine: EngineClient, reader: ContainerReader, under_way: CreatesUnderWay
    ) -> None:
        self._engine = engine
        self._reader = reader
        self._put_back = PutBack(engine, reader)
        self._under_way = under_way

    async def find(self, footprint: Footprint) -> Found | None:
        """Return the container that a create made; see `ports.Recovery`.

        Where it replaces another one and is complete, remove the other one.
        """
        self._under_way.check(footprint)
        for listed in await self._reader.created(footprint.mark):
            if (made := await self._reader.find(listed.id)) is not None:
                complete = _complete(made, footprint)
                if complete and footprint.replaces:
                    await self._put_back.finish(footprint)
                return Found(made=made, complete=complete)
        return None

    async def undo(self, footprint: Footprint, *, force: bool) -> tuple[str, ...]:
        """Remove what a create made, unless it runs; see `ports.Recovery`."""
        self._under_way.check(footprint)
        made = await self._reader.created(footprint.mark)
        if footprint.replaces:
            return await self._put_back.put_back(footprint, made)
        if force or not any(each.state in ACTIVE for each in made):
            # Somebody may start it now.
            await self._remove([each.id for each in made], footprint.mark, force=force)
        return ()

    async def remove(self, nonce: str) -> bool | None:
        """Remove what the create with `nonce` made, by force.

        Return whether the container is gone; None if there was none.
        """
        made = await self._reader.created(nonce)
        gone = await self._remove([each.id for each in made], nonce, force=True)
        return gone if made else None

    async def _remove(self, ids: list[str], nonce: str, *, force: bool) -> bool:
        gone = True
        for id in ids:
            # The removal of a container that the engine is still creating may be refused, or
            # the container is listed and not found yet: the caller tries again.
            answer = await self._engine.delete(path(id), params={"force": int(force), "v": 1})
            gone = gone and answer.ok
        volumes = await self._engine.get("/volumes", params=_marked(nonce))
        for volume in volumes.value()["Volumes"].each():
            # The engine keeps volumes that another container uses by now.
            if name := volume["Name"].text():
                await self._engine.delete(f"/volumes/{quoted(name)}")
        return gone


def _marked(nonce: str) -> dict[str, str | int]:
    return filters({"label": [f"{CREATION_LABEL}={nonce}"]})


def _complete(made: Resource, footprint: Footprint) -> bool:
    if footprint.replaces and made.name != footprint.name:
        return False
    if made.state in ACTIVE:
        return True
    if footprint.start:
        return made.state_detail.reason is not StateReason.NEVER_STARTED
    on = {each.network for each in made.container.networks} if made.container else set()
    return on.issuperset(footprint.networks)
