"""Delete of containers."""

from http import HTTPStatus

from proad.drivers.docker.errors import refused
from proad.drivers.docker.http.api import quoted
from proad.drivers.docker.http.engine_client import EngineClient
from proad.drivers.docker.reader import ContainerReader, path
from proad.drivers.docker.stop import ContainerStopper
from proad.drivers.docker.timing import TransitionTiming
from proad.model import DeleteOptions, Resource, ResourceState, Verb, refusal
from proad.ports import Begin


class ContainerDeleter:
    """Deletes containers.

    Args:
        engine: the engine.
        reader: reads containers.
        stopper: waits for a removal that somebody else has begun.
        timing: how long it waits.
    """

    def __init__(
        self,
        engine: EngineClient,
        reader: ContainerReader,
        stopper: ContainerStopper,
        timing: TransitionTiming = TransitionTiming(),
    ) -> None:
        self._engine = engine
        self._reader = reader
        self._stopper = stopper
        self._timing = timing

    async def delete(self, id: str, options: DeleteOptions, begin: Begin) -> Resource:
        """Delete a container and its nameless volumes; see `ports.Driver.delete`."""
        last = await self._reader.get(id)
        _permit(last, options)
        await begin()
        answer = await self._engine.delete(
            path(id), params={"v": int(not options.keep_volumes), "force": int(options.force)}
        )
        if answer.ok or answer.status == HTTPStatus.NOT_FOUND:
            await self._remove_carried(last, options)
            return last
        now = await self._reader.find(id)
        if now is None:
            return last
        _permit(now, options)
        # Most likely somebody else removes the container, which does not show yet while the
        # container is being killed for that.
        removed = answer.status == HTTPStatus.CONFLICT and await self._stopper.gone(
            id, self._timing.removal
        )
        if removed:
            await self._remove_carried(last, options)
            return last
        raise refused(answer.status, answer.text)

    async def _remove_carried(self, last: Resource, options: DeleteOptions) -> None:
        """Remove the nameless volumes that Docker takes for named ones; it keeps what is used."""
        if last.container is not None and not options.keep_volumes:
            for volume in last.container.carried_volumes:
                await self._engine.delete(f"/volumes/{quoted(volume)}")


def _permit(resource: Resource, options: DeleteOptions) -> None:
    """Raise the error of a delete that is illegal now; one may join a removal under way."""
    if resource.state is ResourceState.REMOVING:
        return
    if error := refusal(Verb.DELETE, resource, force=options.force):
        raise error
