"""What drawing requests about containers and about domains has in common."""

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from google.protobuf.field_mask_pb2 import FieldMask

from planned.trial import Case, Trials
from planned.verbs import verb
from proa import v1

MIB = 2**20
BEYOND = 1024 * MIB
"""More memory than the quota of `compared.POLICY`."""


@dataclass
class Cases(ABC):
    """Draws requests about the two resources of a stage.

    Args:
        chance: decides.
        prefix: of all names.
    """

    kind: ClassVar[str]
    """The field of an update that has the specification."""

    chance: random.Random
    prefix: str
    number: int = field(default=0, kw_only=True)

    @property
    def names(self) -> tuple[str, str]:
        """The resources that the requests are about."""
        return f"{self.prefix}-a", f"{self.prefix}-b"

    @property
    def taken(self) -> str:
        """A name that another resource has."""
        return f"{self.prefix}-taken"

    def setting(self) -> Iterator[Any]:
        """Yield what makes them, and one whose name is taken."""
        for name, start in zip((*self.names, self.taken), (True, False, False), strict=True):
            yield self._plain(name, start=start)

    def case(self) -> Case:
        """Draw a request."""
        draws = self._draws()
        draw = self.chance.choices(list(draws), list(draws.values()))[0]
        return draw()

    def restore(self, trials: Trials, case: Case) -> None:
        """Undo what a case has made: a new resource goes, a renamed one gets its name back."""
        for name in set(trials.there()) - {*self.names, self.taken}:
            if case.subject:
                back = v1.UpdateResourceRequest(id=name, update_mask=FieldMask(paths=["name"]))
                getattr(back, self.kind).name = case.subject
                trials.client.resources.UpdateResource(back)
            else:
                delete = v1.DeleteResourceRequest(id=name, force=True)
                trials.client.resources.DeleteResource(delete)

    @abstractmethod
    def _plain(self, name: str, *, start: bool) -> Any:
        """Return the request that makes a resource with nothing special."""

    @abstractmethod
    def _draws(self) -> Mapping[Callable[[], Case], int]:
        """Return what draws a request, each with its weight."""

    def _new_name(self) -> str:
        self.number += 1
        return f"{self.prefix}-new{self.number}"

    def _verb(self) -> Case:
        return verb(self.chance, self.chance.choice(self.names))
