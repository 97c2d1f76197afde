"""What an engine says has happened."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineEvent:
    """A hint to look at one resource again; it does not say what it looks like now.

    Attributes:
        id: full id of the resource.
        removed: it was deleted, or, while it ran, lost its persistent configuration.
            What is found under the id afterwards is another one.
        ended: its run ended, and with it a TRANSIENT resource.
        reconfigured: something of it changed that a SUMMARY may not show.
    """

    id: str
    removed: bool = False
    ended: bool = False
    reconfigured: bool = False
