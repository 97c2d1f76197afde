"""Whose call a change comes from, as far as that can be told: engines do not say who asked.

What is published while a caller's verb is under way on a resource is that caller's, and so
is what a create makes, until it ends. All else is EXTERNAL.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from proad.core.inventory.entry import Entry
from proad.model import EngineRef


class Creation:
    """A create under way.

    Args:
        actor: the user whose call it is.

    Attributes:
        marks: what the resource will be known by: its full id, or its `Resource.creation`.
        made: the full ids of what was made so far.
    """

    def __init__(self, actor: str) -> None:
        self.actor = actor
        self.marks: set[str] = set()
        self.made: set[str] = set()
        self._over = False

    def expect(self, mark: str) -> None:
        """Note what the resource will be known by; a thread may be later than its call."""
        if not self._over:
            self.marks.add(mark)

    def end(self) -> None:
        """Expect no more."""
        self._over = True


class Attribution:
    """The creates that are under way, by engine."""

    def __init__(self) -> None:
        self._creations: dict[EngineRef, list[Creation]] = {}

    @contextmanager
    def creating(self, engine: EngineRef, actor: str) -> Iterator[Creation]:
        """Attribute to an actor what a create makes."""
        creation = Creation(actor)
        # The latest comes first: what it makes may bear the id of what was made before.
        self._creations.setdefault(engine, []).insert(0, creation)
        try:
            yield creation
        finally:
            creation.end()
            self._creations[engine].remove(creation)

    def actor_of(self, entry: Entry) -> str | None:
        """Return whose call changes a resource; None: nobody's."""
        if entry.activity is not None:
            return entry.activity.actor
        observed = entry.observed
        for creation in self._creations.get(entry.engine, ()):
            if observed.id in creation.marks or observed.creation in creation.marks:
                creation.made.add(observed.id)
                return creation.actor
        return None
