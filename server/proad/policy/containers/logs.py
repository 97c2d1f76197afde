"""Rules on log drivers."""

from collections.abc import Iterator

from proad.errors import Violation
from proad.model import ContainerSpec
from proad.policy.containers.privileges import is_listed
from proad.policy.containers.surroundings import Surroundings
from proad.policy.profile import Profile

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
    driver = spec.log_driver
    if driver and is_listed(driver, profile.allowed_log_drivers):
        return
    if driver not in {"", around.log_driver}:
        yield Violation(
            field="log_driver",
            rule="log driver not listed",
            setting="allowed_log_drivers",
            message=f"the log driver {driver!r} is not one of "
            f"{', '.join(profile.allowed_log_drivers) or 'none'}",
        )
    for name in sorted(spec.log_options.keys() - _PLAIN_OPTIONS):
        yield Violation(
            field=f"log_options[{name!r}]",
            rule="log driver not listed",
            setting="allowed_log_drivers",
            message=f"the option {name!r} may be of a log driver that sends logs elsewhere: "
            "name one that is allowed",
        )
