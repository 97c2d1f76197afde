"""Conditions that a caller waits for."""

from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Annotated

from pydantic import Field, model_validator

from proad.model.resource import ResourceState


@dataclass(frozen=True, slots=True, kw_only=True)
class InState:
    """The resource is in one of these states."""

    states: Annotated[tuple[ResourceState, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Ready:
    """The resource is ready for work."""


@dataclass(frozen=True, slots=True)
class HasAddress:
    """The resource has an address."""


@dataclass(frozen=True, slots=True)
class Gone:
    """The resource is deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitCondition:
    """What to wait for; exactly one is set."""

    in_state: InState | None = None
    ready: Ready | None = None
    has_address: HasAddress | None = None
    gone: Gone | None = None

    @model_validator(mode="after")
    def _one_is_set(self) -> "WaitCondition":
        if all(getattr(self, field.name) is None for field in fields(self)):
            raise ValueError("must be in_state, ready, has_address or gone")
        return self

    def __str__(self) -> str:
        """Return the condition in words."""
        if self.in_state is not None:
            return " or ".join(self.in_state.states)
        return next(f.name for f in fields(self) if getattr(self, f.name) is not None)

    @property
    def outcome(self) -> str:
        """What the resource does once the condition holds, in words."""
        return "have an address" if self.has_address is not None else f"be {self}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitOptions:
    """Options of a wait."""

    condition: WaitCondition
    timeout: Annotated[timedelta, Field(gt=timedelta(0), le=timedelta(hours=1))] = timedelta(
        minutes=1
    )
