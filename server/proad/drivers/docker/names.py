"""Names of containers."""

import re

from proad.errors import InvalidArgumentError

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")


def check_container_name(name: str, field: str) -> None:
    """Refuse a name that Docker would refuse, before anything is changed; an empty one is none.

    Raises:
        InvalidArgumentError: with `field`.
    """
    if name and not _NAME.fullmatch(name):
        raise InvalidArgumentError.of(
            field,
            f"is {name!r}, which no container can be named: at least two letters, digits and "
            "'_', '.' and '-', a letter or a digit first",
        )
