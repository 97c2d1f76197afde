"""Events of an engine."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineEvent:
    """The notice that a resource has changed, without its new state.

    Attributes:
        id: full id of the resource.
        removed: the resource was deleted, or lost its persistent configuration while running.
            A resource with the id afterwards is another one.
        ended: the resource stopped, and no longer exists if it was TRANSIENT.
        reconfigured: something changed that a SUMMARY may not show.
    """

    id: str
    removed: bool = False
    ended: bool = False
    reconfigured: bool = False

    def __or__(self, other: "EngineEvent") -> "EngineEvent":
        """Return one event for two of the same resource."""
        return EngineEvent(
            id=self.id,
            removed=self.removed or other.removed,
            ended=self.ended or other.ended,
            reconfigured=self.reconfigured or other.reconfigured,
        )
