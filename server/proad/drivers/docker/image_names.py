"""What is kept of the images of containers: their first names, and their configurations."""

from collections.abc import Collection
from dataclasses import replace

from proad.drivers.tolerant import Value
from proad.model import Resource


class ImageConfigs:
    """Keeps the configurations of images, which never change, by their ids.

    Used from the driver's threads, too.

    Args:
        most: how many are kept.
    """

    def __init__(self, most: int = 1000) -> None:
        self._most = most
        self._configs: dict[str, Value] = {}

    def get(self, image_id: str) -> Value | None:
        """Return the configuration of an image, if it is kept."""
        return self._configs.get(image_id)

    def put(self, image_id: str, config: Value) -> None:
        """Keep a configuration; the oldest goes if there are too many."""
        self._configs[image_id] = config
        for oldest in list(self._configs)[: -self._most]:
            self._configs.pop(oldest, None)


class ImageNames:
    """Keeps the image of each container as the first list named it.

    Docker's list ceases to tell that name without an event. Once a name means another image, as after a pull, Docker lists the id of the image in its
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
