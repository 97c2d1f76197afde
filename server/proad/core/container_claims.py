"""What creates under way are about to mount: nobody sees it on the engine yet."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from proad.core.tenancy import current_owner_id
from proad.model import ContainerSpec, Mount


@dataclass(frozen=True, slots=True, eq=False)
class Claim:
    """The mounts of a container that is about to be made.

    Attributes:
        mounts: its mounts.
        owner: id of the user or team that it is made for.
    """

    mounts: tuple[Mount, ...]
    owner: str

    @property
    def volumes(self) -> set[str]:
        """The names of the volumes that it mounts."""
        return {each.volume.name for each in self.mounts if each.volume} - {""}


_own: ContextVar[Claim | None] = ContextVar("claim", default=None)


class ContainerClaims:
    """The claims of all creates under way.

    A create claims what it mounts before that is judged, and until the inventory has the container,
    so that of two creates that exclude each other at least one sees the other.
    """

    def __init__(self) -> None:
        self._claims: list[Claim] = []

    @contextmanager
    def claiming(self, spec: ContainerSpec) -> Iterator[None]:
        """Claim the mounts of a specification for the current create."""
        claim = Claim(spec.mounts, current_owner_id())
        self._claims.append(claim)
        token = _own.set(claim)
        try:
            yield
        finally:
            _own.reset(token)
            self._claims.remove(claim)

    def others(self) -> list[Claim]:
        """Return the claims of all creates but the current one."""
        own = _own.get()
        return [claim for claim in self._claims if claim is not own]
