"""Violations: where they stand in a request, and which of them an update is to blame for."""

import re
from collections.abc import Collection, Iterable
from dataclasses import replace

from proad.errors import Violation
from proad.policy.profile import Profile

_INDEX = re.compile(r"\[[^\]]*\]")


def below(prefix: str, violations: Iterable[Violation]) -> list[Violation]:
    """Return violations whose fields are those of a message in the field `prefix`."""
    return [
        replace(each, field=f"{prefix}.{each.field}" if each.field else prefix)
        for each in violations
    ]


def without_setting(violations: Iterable[Violation], profile: Profile) -> list[Violation]:
    """Return the violations whose setting the profile does not have; each is a switch."""
    return [each for each in violations if not (each.setting and getattr(profile, each.setting))]


def of_paths(violations: Iterable[Violation], paths: Collection[str]) -> list[Violation]:
    """Return the violations in fields that change.

    Args:
        violations: those of the specification with its changes; fields are paths in it.
        paths: the fields that change, such as "ports" or "resources.cpus".
    """
    return [each for each in violations if _stands_in(each.field, paths)]


def _stands_in(field: str, paths: Collection[str]) -> bool:
    plain = _INDEX.sub("", field)
    return any(
        plain == path or plain.startswith(f"{path}.") or path.startswith(f"{plain}.")
        for path in paths
    )
