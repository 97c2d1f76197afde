"""Changes of existing resources, by the paths of their specifications."""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields, replace
from hashlib import sha256
from typing import Any, TypeVar

from pydantic_core import to_jsonable_python

from proad.errors import CapabilityMissingError, InvalidArgumentError
from proad.model.container import ContainerSpec
from proad.model.container_parts import ContainerResources
from proad.model.domain import DomainSpec
from proad.model.plan import ChangeEffect, UpdatePlan
from proad.model.resource import ResourceKind


def value_digest(holder: object, path: str) -> str:
    """Return a digest of the value at a path, such as "resources.cpus"; None if there is none.

    Values are compared alone, and may be large: a thousand labels of thousands of characters.
    """
    value: object = holder
    for name in path.split("."):
        value = getattr(value, name, None)
    text = json.dumps(to_jsonable_python(value), sort_keys=True)
    return sha256(text.encode()).hexdigest()


SpecT = TypeVar("SpecT", ContainerSpec, DomainSpec)

LIMITS = "resources"
"""The one field of a specification whose fields have paths of their own."""
LIMIT_PATHS = frozenset(f"{LIMITS}.{each.name}" for each in fields(ContainerResources))

_KINDS = {ContainerSpec: ResourceKind.CONTAINER, DomainSpec: ResourceKind.DOMAIN}


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceUpdate:
    """A change of a resource.

    Attributes:
        spec: the new values; a field that is not in `paths` has no meaning.
        paths: the fields that change, such as "name" or "resources.cpus", but never "resources".
    """

    spec: ContainerSpec | DomainSpec
    paths: frozenset[str]

    def digests(self) -> tuple[tuple[str, str], ...]:
        """Return the paths in order, each with the digest of its new value."""
        return tuple((path, value_digest(self.spec, path)) for path in sorted(self.paths))

    def check_kind(self, kind: ResourceKind) -> None:
        """Check that the values are for resources of a kind.

        Raises:
            InvalidArgumentError: the values are for the other kind.
        """
        if _KINDS[type(self.spec)] is not kind:
            raise self._wrong_kind(kind)

    def _wrong_kind(self, kind: ResourceKind) -> InvalidArgumentError:
        given, name = _KINDS[type(self.spec)].lower(), kind.lower()
        return InvalidArgumentError.of(given, f"this is a {name}; set {name} instead")

    def wanted(self, cls: type[SpecT]) -> SpecT:
        """Return the new values for a resource whose specification is a `cls`.

        Raises:
            InvalidArgumentError: the values are for the other kind.
        """
        if not isinstance(self.spec, cls):
            raise self._wrong_kind(_KINDS[cls])
        return self.spec

    def planned(
        self, changeable: frozenset[str], late: Collection[str] = (), *, driver: str, hint: str
    ) -> UpdatePlan:
        """Return the plan of the update.

        Args:
            changeable: the paths that can be changed.
            late: those of them that take effect at the next start.
            driver: name of the driver, for the refusal.
            hint: how to change what is not in `changeable`.
        """
        fixed = sorted(self.paths - changeable)
        effects = dict.fromkeys(self.paths, ChangeEffect.LIVE)
        effects |= dict.fromkeys(self.paths & {*late}, ChangeEffect.RESTART)
        effects |= dict.fromkeys(fixed, ChangeEffect.RECREATE)
        what = f"changing {', '.join(fixed)} of an existing {_KINDS[type(self.spec)].lower()}"
        refusal = CapabilityMissingError(what, driver=driver, hint=hint) if fixed else None
        return UpdatePlan(effects=effects, refusal=refusal)

    def is_undone_by_saved_state(self, name: str) -> bool:
        """Return whether a saved state of a domain of that name would undo the change."""
        undone = self.paths - {"autostart"}
        return bool(undone - {"name"} if self.spec.name == name else undone)


def merged(have: SpecT, update: ResourceUpdate) -> SpecT:
    """Return a specification with the changes of an update of the same kind."""
    return replace(have, **dict(_changes(have, update)))


def _changes(have: Any, update: ResourceUpdate) -> Iterator[tuple[str, Any]]:
    wanted: Any = update.spec
    for path in update.paths - LIMIT_PATHS:
        yield path, getattr(wanted, path)
    limits = {path.partition(".")[2] for path in update.paths & LIMIT_PATHS}
    if limits:
        changed = {name: getattr(wanted.resources, name) for name in limits}
        yield LIMITS, replace(have.resources, **changed)
