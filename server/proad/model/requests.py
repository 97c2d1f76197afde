"""Options and results of verbs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field, model_validator

from proad.model.checks import Grace, Text
from proad.model.lifetime import Lifetime
from proad.model.resource import Resource

XML_LIMIT = 2**20


class StopMode(StrEnum):
    """The mode of a stop."""

    GRACEFUL = "GRACEFUL"
    GRACEFUL_THEN_FORCE = "GRACEFUL_THEN_FORCE"
    FORCE = "FORCE"
    SAVE = "SAVE"


class RestartMode(StrEnum):
    """The mode of a restart."""

    GRACEFUL = "GRACEFUL"
    GRACEFUL_THEN_FORCE = "GRACEFUL_THEN_FORCE"
    FORCE = "FORCE"


@dataclass(frozen=True, slots=True, kw_only=True)
class StartOptions:
    """Options of a start."""

    from_snapshot: Text = ""
    discard_saved_state: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StopOptions:
    """Options of a stop; None means the default of the engine's kind (contract: StopMode)."""

    mode: StopMode | None = None
    grace_period: Grace | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartOptions:
    """Options of a restart; None means the default of the engine's kind (contract: RestartMode)."""

    mode: RestartMode | None = None
    grace_period: Grace | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteOptions:
    """Options of a deletion: what is deleted with a resource, and whether it may be active."""

    force: bool = False
    delete_snapshots: bool = False
    delete_saved_state: bool = False
    keep_volumes: bool = False
    ignore_unreadable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Updated:
    """A changed resource, and the paths of the specification that take effect at its next start."""

    resource: Resource
    restart_required: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedContainer:
    """A new container, and the engine's warnings."""

    resource: Resource
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneFilter:
    """The filter of a prune of stopped containers."""

    labels: Mapping[Text, Text] = field(default_factory=dict)
    create_time_before: datetime | None = None

    def matches(self, resource: Resource) -> bool:
        """Return whether a container, as callers see it, may be removed."""
        made, before = resource.create_time, self.create_time_before
        return (
            not resource.deletion_protection
            and all(resource.labels.get(key) == value for key, value in self.labels.items())
            and (before is None or (made is not None and made < before))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """The result of a prune."""

    container_ids: tuple[str, ...] = ()
    reclaimed_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainXml:
    """A new domain as XML."""

    xml: Annotated[str, Field(min_length=1, max_length=XML_LIMIT)]
    lifetime: Lifetime = Lifetime.PERSISTENT
    deletion_protection: bool = False

    @model_validator(mode="after")
    def _fits_together(self) -> "DomainXml":
        if self.deletion_protection and self.lifetime is Lifetime.TRANSIENT:
            raise ValueError("a TRANSIENT domain cannot have deletion_protection")
        return self
