"""How a verb is to be done."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from proad.model.checks import Grace, Name, Text
from proad.model.container import ContainerUpdate
from proad.model.domain import DomainLabels, DomainUpdate
from proad.model.lifetime import Lifetime
from proad.model.resource import Resource

XML_LIMIT = 2**20


class StopMode(StrEnum):
    """How a resource is stopped."""

    GRACEFUL = "GRACEFUL"
    GRACEFUL_THEN_FORCE = "GRACEFUL_THEN_FORCE"
    FORCE = "FORCE"
    SAVE = "SAVE"


class RestartMode(StrEnum):
    """How a resource is restarted."""

    GRACEFUL = "GRACEFUL"
    GRACEFUL_THEN_FORCE = "GRACEFUL_THEN_FORCE"
    FORCE = "FORCE"


@dataclass(frozen=True, slots=True, kw_only=True)
class StartOptions:
    """How to start."""

    from_snapshot: Text = ""
    discard_saved_state: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StopOptions:
    """How to stop; None means what users of the engine expect (contract: StopMode)."""

    mode: StopMode | None = None
    grace_period: Grace | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartOptions:
    """How to restart; None means what users of the engine expect (contract: RestartMode)."""

    mode: RestartMode | None = None
    grace_period: Grace | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteOptions:
    """What goes with a resource, and whether it may be active."""

    force: bool = False
    delete_snapshots: bool = False
    delete_saved_state: bool = False
    keep_volumes: bool = False
    ignore_unreadable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSet:
    """Labels as a whole."""

    entries: DomainLabels = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceUpdate:
    """What to change of a resource; None leaves it as it is."""

    name: Name | None = None
    labels: LabelSet | None = None
    container: ContainerUpdate | None = None
    domain: DomainUpdate | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be changed, by an absent part or by one with no field set."""
        return (
            self.name is None
            and self.labels is None
            and self.container in {None, ContainerUpdate()}
            and self.domain in {None, DomainUpdate()}
        )

    def is_undone_by_saved_state(self, name: str) -> bool:
        """Tell whether it changes what a domain of that name gets back from a saved state."""
        change = self.domain or DomainUpdate()
        return (
            self.name not in {None, name}
            or self.labels is not None
            or change != DomainUpdate(autostart=change.autostart)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Updated:
    """A changed resource, and the paths of what takes effect at its next start."""

    resource: Resource
    restart_required: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedContainer:
    """A new container, and what the engine warned of."""

    resource: Resource
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneFilter:
    """Which stopped containers a prune is about."""

    labels: Mapping[Text, Text] = field(default_factory=dict)
    create_time_before: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What a prune took away."""

    container_ids: tuple[str, ...] = ()
    reclaimed_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainXml:
    """A domain to be made from XML."""

    xml: Annotated[str, Field(min_length=1, max_length=XML_LIMIT)]
    lifetime: Lifetime = Lifetime.PERSISTENT
