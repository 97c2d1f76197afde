"""How the values of a setting compare: what of a profile goes beyond the host's ceiling.

Each field of a `Profile` is of one of the types at the end, which carries the comparison.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import PurePosixPath
from typing import Annotated, Any, Protocol

from pydantic import AfterValidator, BeforeValidator, Field

from proad.policy.registries import covers, registry_pattern

ANY = "*"
"""The name that stands for all names."""


class Foreign(StrEnum):
    """What a caller may do to instances that were not made through Proa.

    Attributes:
        VIEW: read them.
        LIFECYCLE: also stop, pause, resume and delete them.
        FULL: what is allowed for instances made through Proa.
    """

    VIEW = "view"
    LIFECYCLE = "lifecycle"
    FULL = "full"


class Bound(Protocol):
    """Compares the values of a setting."""

    @property
    def follows(self) -> bool:
        """Whether a profile that does not state the setting has the ceiling's value."""

    def exceeds(self, value: Any, ceiling: Any) -> bool:
        """Return whether `value` allows what `ceiling` does not."""

    def cut(self, value: Any, ceiling: Any) -> Any:
        """Return a value that allows what both allow."""


class _Either:
    """Two values, of which False allows nothing."""

    follows = False

    def exceeds(self, value: bool, ceiling: bool) -> bool:  # noqa: FBT001 - values of a setting
        return value and not ceiling

    def cut(self, value: bool, ceiling: bool) -> bool:  # noqa: FBT001 - values of a setting
        return value and ceiling


class _Most:
    """A number; 0 is no limit."""

    follows = False

    def exceeds(self, value: float, ceiling: float) -> bool:
        return ceiling != 0 and (value == 0 or value > ceiling)

    def cut(self, value: float, ceiling: float) -> float:
        return ceiling if self.exceeds(value, ceiling) else value


class _MostOfEach:
    """Numbers by name; a name without a number has no limit."""

    follows = False

    def exceeds(self, value: Mapping[str, int], ceiling: Mapping[str, int]) -> bool:
        return any(name not in value or value[name] > ceiling[name] for name in ceiling)

    def cut(self, value: Mapping[str, int], ceiling: Mapping[str, int]) -> Mapping[str, int]:
        return {
            name: min(each[name] for each in (value, ceiling) if name in each)
            for name in value.keys() | ceiling.keys()
        }


@dataclass(frozen=True, slots=True)
class _Among:
    """Patterns, each of which covers others.

    Args:
        covers: whether the first pattern matches all that the second one matches.
        follows: whether a profile that does not state the setting has the ceiling's value.
    """

    covers: Callable[[Any, Any], bool]
    follows: bool = False

    def exceeds(self, value: Sequence[Any], ceiling: Sequence[Any]) -> bool:
        return not all(self._within(each, ceiling) for each in value)

    def cut(self, value: Sequence[Any], ceiling: Sequence[Any]) -> Sequence[Any]:
        kept = [each for each in value if self._within(each, ceiling)]
        # The narrower ones of the ceiling, where the value has a wider one.
        kept += [each for each in ceiling if each not in kept and self._within(each, value)]
        return tuple(kept)

    def _within(self, pattern: Any, others: Sequence[Any]) -> bool:
        return any(self.covers(each, pattern) for each in others)


class _Rank:
    """Members of an enumeration, each of which allows all that those before allow."""

    follows = False

    def exceeds(self, value: StrEnum, ceiling: StrEnum) -> bool:
        members = list(type(value))
        return members.index(value) > members.index(ceiling)

    def cut(self, value: StrEnum, ceiling: StrEnum) -> StrEnum:
        return ceiling if self.exceeds(value, ceiling) else value


class _Unbounded:
    """Values that allow nothing: what a request gets that says nothing else."""

    follows = False

    def exceeds(self, value: object, ceiling: object) -> bool:  # noqa: ARG002 - as Bound has it
        return False

    def cut(self, value: object, ceiling: object) -> object:  # noqa: ARG002 - as Bound has it
        return value


def is_listed(name: str, allowed: Collection[str]) -> bool:
    """Return whether a name, or all names, are among those that are allowed."""
    return not {name, ANY}.isdisjoint(allowed)


def texts(value: object) -> object:
    """Parse texts: a comma-separated text or a list."""
    if not isinstance(value, str):
        return value
    return tuple(text.strip() for text in value.split(",")) if value.strip() else ()


def _root(path: str) -> str:
    if not path.startswith("/") or path != str(PurePosixPath(path)) or ".." in path.split("/"):
        raise ValueError("must be an absolute path without '..' and a '/' at its end")
    return path


def _volume(pattern: str) -> str:
    pool, slash, name = pattern.removesuffix(ANY).partition("/")
    if not pool or not slash or ANY in pool or ANY in name or (not name and pattern[-1] != ANY):
        raise ValueError("must be POOL/NAME, where NAME may end in '*'")
    return pattern


def _network(value: object) -> IPv4Network | IPv6Network:
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    try:
        return ip_network(str(value))
    except ValueError:
        raise ValueError(f"{value!r} is no address and no network such as '10.0.0.0/8'") from None


def _name_covers(pattern: str, name: str) -> bool:
    return pattern in {ANY, name}


def matches_volume(pattern: str, volume: str) -> bool:
    """Return whether a volume, as POOL/NAME, or all that another pattern matches, is meant."""
    if pattern.endswith(ANY):
        return volume.startswith(pattern.removesuffix(ANY))
    return pattern == volume


def _path_covers(root: str, path: str) -> bool:
    return PurePosixPath(path).is_relative_to(root)


def _network_covers(network: IPv4Network | IPv6Network, other: IPv4Network | IPv6Network) -> bool:
    if isinstance(network, IPv4Network):
        return isinstance(other, IPv4Network) and other.subnet_of(network)
    return isinstance(other, IPv6Network) and other.subnet_of(network)


Switch = Annotated[bool, _Either()]
Most = Annotated[int, Field(ge=0), _Most()]
MostCpus = Annotated[float, Field(ge=0, allow_inf_nan=False), _Most()]
MostOfEach = Annotated[Mapping[str, Annotated[int, Field(ge=0)]], _MostOfEach()]
Preset = Annotated[int, Field(ge=0), _Unbounded()]
"""A value for requests that have none; rules hold it to the limit of what it is for."""
PresetCpus = Annotated[float, Field(ge=0, allow_inf_nan=False), _Unbounded()]
PresetText = Annotated[str, _Unbounded()]
Power = Annotated[Foreign, _Rank()]
Names = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    BeforeValidator(texts),
    _Among(_name_covers),
]
"""Names that are allowed; "*" stands for all."""
Roots = Annotated[
    tuple[Annotated[str, AfterValidator(_root)], ...], BeforeValidator(texts), _Among(_path_covers)
]
"""Folders of the host; what is below them is allowed, too."""
VolumeNames = Annotated[
    tuple[Annotated[str, AfterValidator(_volume)], ...],
    BeforeValidator(texts),
    _Among(matches_volume),
]
"""Volumes of storage pools as POOL/NAME, where NAME may end in "*"."""
Networks = Annotated[
    tuple[Annotated[IPv4Network | IPv6Network, BeforeValidator(_network)], ...],
    BeforeValidator(texts),
    _Among(_network_covers),
]
"""Addresses, or networks of them."""
Registries = Annotated[
    tuple[Annotated[str, AfterValidator(registry_pattern)], ...],
    BeforeValidator(texts),
    _Among(covers, follows=True),
]
"""Registries, as `proad.policy.registries` matches them."""
