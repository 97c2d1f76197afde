"""Updates as tests write them: what is given changes, and nothing else."""

from dataclasses import fields
from typing import Any

from proad.model import (
    ContainerResources,
    ContainerSpec,
    DomainSpec,
    ResourceKind,
    ResourceUpdate,
)

_LIMITS = {each.name for each in fields(ContainerResources)}


def container_update(**values: Any) -> ResourceUpdate:
    """Return an update of a container. Limits are given by their names in `resources`."""
    limits = {name: value for name, value in values.items() if name in _LIMITS}
    whole = {name: value for name, value in values.items() if name not in _LIMITS}
    spec = ContainerSpec(image="", resources=ContainerResources(**limits), **whole)
    paths = {*whole, *(f"resources.{name}" for name in limits)}
    return ResourceUpdate(spec=spec, paths=frozenset(paths))


def domain_update(**values: Any) -> ResourceUpdate:
    """Return an update of a domain."""
    spec = DomainSpec(**{"name": "", "memory_bytes": 0, **values})
    return ResourceUpdate(spec=spec, paths=frozenset(values))


def update_of(kind: ResourceKind, **values: Any) -> ResourceUpdate:
    """Return an update of what both kinds have."""
    update = container_update if kind is ResourceKind.CONTAINER else domain_update
    return update(**values)
