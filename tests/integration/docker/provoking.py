"""Helpers that make the engine refuse a call."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from integration.docker.stage import Stage
from proad.model import (
    BindMount,
    ContainerResources,
    Mount,
    NetworkAttachment,
    ResourceUpdate,
)

MIB = 2**20
NOT_THERE = "proa-test-none"


@dataclass(frozen=True, kw_only=True)
class Provocation:
    """A call that provokes one refusal.

    Attributes:
        row: the name of the refusal in the table.
        call: the call, for docs/refusals.md.
        field: of an INVALID_ARGUMENT, the path that is blamed.
        act: make the call; raises.
    """

    row: str
    call: str
    act: Callable[[Stage], Awaitable[Any]]
    field: str = ""


def create(row: str, blamed: str, shown: str, **spec: Any) -> Provocation:
    """Create and start a container with this specification."""
    return Provocation(
        row=row,
        call=f"CreateContainer, {shown}",
        field=f"spec.{blamed}",
        act=lambda stage: stage.create(**spec),
    )


def update(row: str, blamed: str, shown: str, change: ResourceUpdate, **host: Any) -> Provocation:
    """Update a running container that the engine's own tools made with these settings."""
    return Provocation(
        row=row,
        call=f"UpdateResource, {shown}",
        field=f"container.{blamed}" if blamed else "",
        act=lambda stage: stage.update(change, **host),
    )


def limits(**fields: Any) -> dict[str, Any]:
    return {"resources": ContainerResources(**fields)}


def on(network: str, **fields: Any) -> tuple[NetworkAttachment, ...]:
    return (NetworkAttachment(network=network, **fields),)


def bound(target: str, source: str = "/tmp") -> dict[str, Any]:
    return {"mounts": (Mount(target=target, bind=BindMount(source=source)),)}


def shared(**fields: Any) -> Callable[[Stage], Awaitable[Any]]:
    """Create a container in the network of another one that does not run."""
    return lambda stage: stage.create_beside_a_stopped_one(**fields)
