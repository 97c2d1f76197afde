"""The durations of the memory driver."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryTiming:
    """Durations of the imitated engine.

    Attributes:
        pull_step: of each step of a pull.
        container_grace: of a graceful stop of a container that names none.
        domain_grace: of a graceful stop of a domain.
    """

    pull_step: timedelta = timedelta(milliseconds=10)
    container_grace: timedelta = timedelta(seconds=10)
    domain_grace: timedelta = timedelta(seconds=60)
