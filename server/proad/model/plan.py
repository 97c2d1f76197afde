"""Plans: what a call would do that is only checked."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

from proad.errors import CapabilityMissingError
from proad.model.container import ContainerSpec
from proad.model.container_parts import EnvSecret
from proad.model.domain import DomainSpec


class ChangeEffect(StrEnum):
    """When a change of a field takes effect."""

    LIVE = "LIVE"
    RESTART = "RESTART"
    RECREATE = "RECREATE"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedChange:
    """A field that a call would change."""

    field: str
    effect: ChangeEffect


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRemoval:
    """A resource that a call would remove."""

    id: str
    path: str
    name: str
    reclaimed_bytes: int


# With the longest names, a plan stays below what clients take in one message.
_MOST_REMOVALS = 5000
_NAME = ("ALREADY_EXISTS",)
_ROOM = ("HOST_EXHAUSTED", "ENGINE_CONFLICT")
# A TRANSIENT domain has no next start to wait for, should its guest not follow.
_OF_GUESTS = ("CAPABILITY_MISSING", "INVALID_ARGUMENT")
_MAY_FAIL: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "name": _NAME,
        "ports": ("IN_USE", "ENGINE_CONFLICT"),
        "networks": ("IN_USE", "INVALID_ARGUMENT", "ENGINE_CONFLICT"),
        "image": ("IMAGE_NOT_FOUND",),
        "resources": (*_ROOM, "INVALID_ARGUMENT"),
        "restart_policy": ("ENGINE_CONFLICT",),
        "memory_bytes": (*_ROOM, *_OF_GUESTS),
        "vcpus": (*_ROOM, *_OF_GUESTS),
    }
)
# Of what is made again, whatever changes: what it is made from may have changed or gone meanwhile.
_MAY_FAIL_ANEW = (
    *("ALREADY_EXISTS", "IMAGE_NOT_FOUND", "IN_USE", "INVALID_ARGUMENT"),
    *("HOST_EXHAUSTED", "ENGINE_CONFLICT"),
)


_MAY_FAIL_OF_DOMAINS = ("ALREADY_EXISTS", "INVALID_ARGUMENT", *_ROOM)
_VOLUMES = ("VOLUME_NOT_FOUND", "IN_USE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a call would do.

    Attributes:
        changes: the fields that the call changes, in the order of their paths.
        may_fail: the reasons why the call may fail all the same.
        container: what a create makes a container from; None: it is no such create.
        removals: the first of what a prune removes.
        removal_count: how many a prune removes.
        reclaimed_bytes: bytes on disk that a prune frees.
    """

    changes: tuple[PlannedChange, ...] = ()
    may_fail: tuple[str, ...] = ()
    container: ContainerSpec | None = None
    removals: tuple[PlannedRemoval, ...] = ()
    removal_count: int = 0
    reclaimed_bytes: int = 0

    @classmethod
    def of_container(cls, spec: ContainerSpec) -> "Plan":
        """Return the plan of the create of a container, without the values of secrets."""
        secrets = {name: EnvSecret(redacted=True) for name in spec.env_secret}
        return cls(
            may_fail=tuple(sorted(_MAY_FAIL_ANEW)), container=replace(spec, env_secret=secrets)
        )

    @classmethod
    def of_domain(cls, spec: DomainSpec | None = None) -> "Plan":
        """Return the plan of the create of a domain, from XML without a specification."""
        no_volumes = spec is not None and spec.diskless and not spec.cdroms
        reasons = {*_MAY_FAIL_OF_DOMAINS, *(() if no_volumes else _VOLUMES)}
        return cls(may_fail=tuple(sorted(reasons)))

    @classmethod
    def of_update(cls, effects: Mapping[str, ChangeEffect]) -> "Plan":
        """Return the plan of an update, from the effect of each of its paths."""
        reasons = {
            reason for path in effects for reason in _MAY_FAIL.get(path.partition(".")[0], ())
        }
        return cls(changes=_changes(effects), may_fail=tuple(sorted(reasons)))

    @classmethod
    def of_recreation(cls, paths: Iterable[str]) -> "Plan":
        """Return the plan of a recreation that changes these paths."""
        effects = dict.fromkeys(paths, ChangeEffect.RECREATE)
        return cls(changes=_changes(effects), may_fail=tuple(sorted(_MAY_FAIL_ANEW)))

    @classmethod
    def of_prune(cls, removals: Sequence[PlannedRemoval]) -> "Plan":
        """Return the plan of a prune, which leaves what it cannot remove and does not fail for it."""
        return cls(
            removals=tuple(removals[:_MOST_REMOVALS]),
            removal_count=len(removals),
            reclaimed_bytes=sum(each.reclaimed_bytes for each in removals),
        )


def _changes(effects: Mapping[str, ChangeEffect]) -> tuple[PlannedChange, ...]:
    return tuple(PlannedChange(field=path, effect=effects[path]) for path in sorted(effects))


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdatePlan:
    """What an update would do to one resource as it is now.

    Attributes:
        effects: when the change of each path takes effect.
        refusal: why the update is refused: paths that take effect only when the resource is made
            again; None: there are none.
    """

    effects: Mapping[str, ChangeEffect]
    refusal: CapabilityMissingError | None = None

    def check(self) -> None:
        """Raise the refusal, if there is one."""
        if self.refusal is not None:
            raise self.refusal

    @property
    def restart_required(self) -> tuple[str, ...]:
        """The paths that take effect at the next start."""
        late = (path for path, effect in self.effects.items() if effect is ChangeEffect.RESTART)
        return tuple(sorted(late))
