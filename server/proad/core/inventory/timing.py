"""The durations of the inventory."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordTiming:
    """Durations of the records of resources, in seconds.

    Attributes:
        write_interval: between two rounds of writing what need not be written at once.
        names_interval: between two reads of the owners' names.
    """

    write_interval: float = 0.5
    names_interval: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class InventoryTiming:
    """How long the inventory waits for what, in seconds.

    Attributes:
        compare_every: between two lists that only make sure that no event was missed.
        events_within: in which an event may follow a change that a list shows already.
        ready_within: that a caller waits for an engine that answers to be listed anew.
        back_off: before an engine is followed again, by the failures in a row.
        steady_after: after which a stream of events that lasted so long counts as no failure.
        settles_within: that a resync waits for refreshes under way.
        busy_delay: before an event is refreshed whose resource has a verb of ours under way,
            or had one that long ago.
        retry_after: before a refresh that failed is tried again.
        full_within: that is waited for a FULL view; a container may hang when it is inspected.
        records: of the records.
    """

    compare_every: float = 60.0
    events_within: float = 0.5
    ready_within: float = 10.0
    back_off: Sequence[float] = (0.05, 0.2, 0.5, 1.0, 2.0)
    steady_after: float = 5.0
    settles_within: float = 1.0
    busy_delay: float = 0.1
    retry_after: float = 1.0
    full_within: float = 2.0
    records: RecordTiming = field(default_factory=RecordTiming)
