"""The durations of the daemon's components."""

from dataclasses import dataclass, field

from proad.core.verb_runner import VerbTiming


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonTiming:
    """The durations of all components that `app.serving` composes.

    Attributes:
        verbs: those of verbs.
    """

    verbs: VerbTiming = field(default_factory=VerbTiming)
