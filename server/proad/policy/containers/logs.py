"""Rules on log drivers."""

import re
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
# The engine itself runs a tag as a template, whose functions, such as `pad`, take any memory.
_PLAIN_TAG = re.compile(r"([^{]|\{(?!\{)|\{\{\s*\.[A-Za-z]+\s*\}\})*", re.DOTALL)
_SIZE = re.compile(r"([0-9]{1,18}) ?([kmg]?)i?b?", re.IGNORECASE)
_NUMBER = re.compile(r"\+?0*([0-9]*)")
_UNITS = {"": 0, "k": 10, "m": 20, "g": 30}
# Lines that wait are in the engine's memory, and each rotation renames every file.
_MOST_BUFFERED = 16 * 2**20
_MOST_FILES = 1000


def judge_log(spec: ContainerSpec, profile: Profile, around: Surroundings) -> Iterator[Violation]:
    """Return the violations of a log driver and its options.

    The engine's own default is allowed, with options that tell it no address.
    """
    driver, allowed = spec.log_driver, profile.allowed_log_drivers
    if ANY in allowed:
        return
    for name, value in sorted(spec.log_options.items()):
        if not _is_bounded(name, value):
            yield Violation(
                field=f"log_options[{name!r}]",
                rule="cost of logging",
                setting="allowed_log_drivers",
                message=f"the engine itself would pay for {name!r}: a tag has text and names such "
                f"as {{{{.Name}}}} alone, and there are at most {_MOST_FILES} files and 16 MiB of "
                "buffer",
            )
    if driver in allowed and driver not in _ON_THE_HOST:
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


def _is_bounded(name: str, value: str) -> bool:
    """Return whether what an option costs the engine is bounded."""
    if name == "tag":
        return _PLAIN_TAG.fullmatch(value) is not None
    if name == "max-buffer-size":
        size = _SIZE.fullmatch(value)
        return size is not None and int(size[1]) << _UNITS[size[2].lower()] <= _MOST_BUFFERED
    if name == "max-file":
        count = _NUMBER.fullmatch(value)
        return count is None or int(count[1][:9] or 0) <= _MOST_FILES
    return True
