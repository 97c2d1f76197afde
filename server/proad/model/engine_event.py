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

    def __or__(self, other: "EngineEvent") -> "EngineEvent":
        """Give one hint for two of the same resource."""
        return EngineEvent(
            id=self.id,
            removed=self.removed or other.removed,
            ended=self.ended or other.ended,
            reconfigured=self.reconfigured or other.reconfigured,
        )
