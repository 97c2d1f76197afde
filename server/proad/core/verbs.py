"""How every change of a resource goes: its turn, its legality, the driver."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from proad.core.operations import Operations
from proad.core.resolve import Found
from proad.model import ResourceView, Verb, refusal

T = TypeVar("T")


class Verbs:
    """Does a verb on a resource that is found already."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def do(
        self,
        verb: Verb,
        found: Found,
        action: Callable[[str], Awaitable[T]],
        *,
        force: bool = False,
    ) -> T:
        """Wait for the turn on the resource, refuse what is illegal now, have it done.

        Args:
            verb: what is done; decides in which states it is legal.
            found: the resource.
            action: does it, given the resource's full id.
            force: it is done by force: deletes what is active, and does not wait for a
                graceful stop that is under way.

        Raises:
            StateError: it is not legal now. The engine was not asked.
            ActivityInProgressError: another verb has the turn for too long.
        """

        async def change() -> T:
            link, resource = found.link, found.resource
            # An id is unique on its host alone: domains are copied with their UUIDs.
            key = f"{link.name}/{resource.id}"
            async with self._operations.turn(key, resource.name, verb, oust=force) as waited:
                if waited:  # whoever had the turn before may have changed it
                    resource = await link.read(
                        lambda: link.driver.get_resource(found.resource.id, ResourceView.SUMMARY)
                    )
                if (error := refusal(verb, resource, force=force)) is not None:
                    raise error
                return await link.verb(lambda: action(resource.id))

        return await self._operations.run(change)
