"""What is kept beside resources for as long as these live."""

from typing import Generic, TypeVar
from weakref import ref

from proad.model import Resource

T = TypeVar("T")


class KeptWith(Generic[T]):
    """Keeps something for each resource object, for the lifetime of the object.

    The inventory returns the same object until a resource changes, and then releases it: what is
    kept is of the present resources and no others.
    """

    def __init__(self) -> None:
        self._kept: dict[int, tuple[ref[Resource], T]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, resource: Resource) -> T | None:
        """Return what is kept with a resource; None: nothing."""
        kept = self._kept.get(id(resource))  # a resource contains mappings and has no hash
        return kept[1] if kept is not None and kept[0]() is resource else None

    def put(self, resource: Resource, value: T) -> T:
        """Keep a value with a resource, and return it."""
        key, all_kept = id(resource), self._kept
        all_kept[key] = (ref(resource, lambda _: all_kept.pop(key, None)), value)
        return value
