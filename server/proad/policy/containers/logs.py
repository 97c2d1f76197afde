"""Rules on log drivers."""

from collections.abc import Iterator

from proad.errors import Violation
from proad.model import ContainerSpec
from proad.policy.bounds import ANY
from proad.policy.containers.surroundings import Surroundings
from proad.policy.profile import Profile

_ON_THE_HOST = frozenset({"json-file", "local", "none"})
# What the drivers that keep logs on the host take, and no other driver takes for an address.
_PLAIN_OPTIONS = frozenset(
    {
        *("max-size", "max-file", "compress", "labels", "labels-regex", "env", "env-regex", "tag"),
        *("mode", "max-buffer-size"),
    }
)


def judge_log(spec: ContainerSpec, profile: Profile, around: Surroundings) -> Iterator[Violation]:
    """Return the violations of a log driver and its options.

    The engine's own default is allowed, with options that tell it no address.
    """
    driver, allowed = spec.log_driver, profile.allowed_log_drivers
    if ANY in allowed or (driver in allowed and driver not in _ON_THE_HOST):
        return
    if driver not in {"", around.log_driver, *allowed}:
        yield Violation(
            field="log_driver",
            rule="log driver not listed",
            setting="allowed_log_drivers",
            message=f"the log driver {driver!r} is not one of {', '.join(allowed) or 'none'}",
        )
    for name in sorted(spec.log_options.keys() - _PLAIN_OPTIONS):
        yield Violation(
            field=f"log_options[{name!r}]",
            rule="log driver not listed",
            setting="allowed_log_drivers",
            message=f"the option {name!r} may be of a log driver that sends logs elsewhere: "
            "name one that is allowed",
        )
