"""The names of the images of containers, which Docker's list ceases to tell without an event."""

from collections.abc import Collection
from dataclasses import replace

from proad.model import Resource


class ImageNames:
    """Keeps the image of each container as the first list named it.

    Once a name means another image, as after a pull, Docker lists the id of the image in its
    place, and no event tells of that. Without the first name, containers that nobody touched
    would get another etag, and leave the filter by their image.
    """

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def keep(self, found: dict[str, Resource]) -> None:
        """Give the SUMMARYs of a list the first names of their images."""
        for id, resource in found.items():
            if resource.container is None:
                continue
            listed = resource.container.image
            name = self._names.setdefault(id, listed)
            if name != listed:
                container = replace(resource.container, image=name)
                found[id] = replace(resource, container=container)

    def forget(self, id: str) -> None:
        """Forget a container that is gone."""
        self._names.pop(id, None)

    def forget_others(self, ids: Collection[str]) -> None:
        """Forget all containers but these."""
        for id in self._names.keys() - set(ids):
            del self._names[id]
