"""One resource in the store."""

import math
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from proad.model import (
    ACTIVE,
    PROTECTED_FROM,
    Activity,
    EngineRef,
    Resource,
    ResourceState,
    Verb,
    path_of,
    replaced,
    verbs_of,
)
from proad.ports.records import ResourceRecord


class Entry(Protocol):
    """One resource, for reading: the store alone changes an entry."""

    @property
    def engine(self) -> EngineRef:
        """The engine that has the resource."""

    @property
    def observed(self) -> Resource:
        """The SUMMARY as the driver gave it."""

    @property
    def published(self) -> Resource:
        """The SUMMARY as callers get it: completed with what only the inventory knows."""

    @property
    def activity(self) -> Activity | None:
        """The verb of ours that is under way on the resource."""

    @property
    def record(self) -> ResourceRecord | None:
        """What is recorded of the resource, as it is published; None: nothing."""

    @property
    def detail(self) -> Resource | None:
        """The last FULL view that was read, as the driver gave it, however old."""

    @property
    def path(self) -> str:
        """The canonical path: an id is unique on its host alone."""

    def completed(self, view: Resource) -> Resource:
        """Return a driver's view, completed with what only the inventory knows."""


@dataclass(slots=True, eq=False)
class StoredEntry:
    """One resource, for the store.

    Attributes:
        engine, observed, published, activity, record, detail, path: see `Entry`.
        applied: the number at which an observation was applied last.
        dirtied: the number of the last event, or of the last verb's end: FULL views that were
            begun before may be stale.
        idle_since: when the last verb ended, in seconds.
        detail_begun: the number of the read that gave `detail`.
        detail_time: when that was, in seconds.
        full: `detail`, completed; made when first asked for.
        reconfigured: the number of the last event of something that a SUMMARY may not show.
        compared: the number of the last read that compared FULL views, or could not.
        fault_logged: the log has a fault of the driver with this resource.
    """

    engine: EngineRef
    observed: Resource
    published: Resource
    activity: Activity | None = None
    record: ResourceRecord | None = None
    applied: int = 0
    dirtied: int = 0
    idle_since: float = -math.inf
    detail: Resource | None = None
    detail_begun: int = 0
    detail_time: float = 0.0
    full: Resource | None = None
    reconfigured: int = 0
    compared: int = 0
    fault_logged: bool = False
    path: str = field(init=False)

    def __post_init__(self) -> None:
        self.path = path_of(self.engine, self.observed)

    @property
    def allowed_verbs(self) -> tuple[Verb, ...]:
        """The verbs that are legal now."""
        if self.activity is None:
            legal = verbs_of(self.observed)
            if self.record is None or not self.record.deletion_protection:
                return legal
            return tuple(verb for verb in legal if verb not in PROTECTED_FROM)
        stoppable = (
            self.observed.state in ACTIVE and self.observed.state is not ResourceState.REMOVING
        )
        if stoppable and self.activity.verb in {Verb.STOP, Verb.RESTART}:
            return (Verb.STOP,)
        return ()

    def completed(self, view: Resource) -> Resource:
        """Return a driver's view, completed with what only the inventory knows."""
        record, owner = self.record, self.published.owner
        return replaced(
            view,
            **({} if record is None else recorded(view, record, owner)),
            engine=self.engine,
            allowed_verbs=self.published.allowed_verbs,
            activity=self.published.activity,
            etag=self.published.etag,
            epoch=self.published.epoch,
            revision=self.published.revision,
            observe_time=self.published.observe_time,
            path=self.path,
        )


def recorded(view: Resource, record: ResourceRecord, owner: str) -> dict[str, Any]:
    """Return the fields of a view that have what is recorded of the resource.

    Args:
        view: the view, as the driver gave it.
        record: the record.
        owner: name of the owner.
    """
    protected = record.deletion_protection
    changes: dict[str, Any] = {
        "owner": owner,
        "owner_id": record.owner,
        "deletion_protection": protected,
    }
    if record.labels is not None:
        changes["labels"] = record.labels
    for kind in ("container", "domain"):
        details = getattr(view, kind)
        # A SUMMARY has no specification.
        if (spec := getattr(details, "spec", None)) is not None:
            own = spec.labels if record.labels is None else record.labels
            spec = replace(spec, labels=own, deletion_protection=protected)
            changes[kind] = replace(details, spec=spec)
    return changes
