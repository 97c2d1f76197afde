"""One hostile request, and one container of others."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Hostile:
    """Fields of a ContainerSpec that must be denied.

    Attributes:
        spec: the fields as JSON has them, beside the image and the name.
        rule: the rule that denies them.
        setting: the setting that relaxes the rule; empty: none does.
    """

    spec: Mapping[str, Any]
    rule: str
    setting: str = ""


@dataclass(frozen=True, slots=True)
class Foreign:
    """A container made with Docker's own API that must not be started through Proa.

    Attributes:
        host: the HostConfig, beside what every container has.
        rule: the rule that denies it.
        setting: the setting that relaxes the rule; empty: none does.
        config: the rest of the body of POST /containers/create.
    """

    host: Mapping[str, Any]
    rule: str
    setting: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)


def each(specs: Iterable[Mapping[str, Any]], rule: str, setting: str = "") -> tuple[Hostile, ...]:
    """Return requests that one rule denies."""
    return tuple(Hostile(spec, rule, setting) for spec in specs)
