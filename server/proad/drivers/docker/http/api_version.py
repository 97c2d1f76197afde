"""Versions of the Engine API, and the choice of the one to speak."""

import re
from typing import NamedTuple, Self

from proad.drivers.docker.errors import ENGINE
from proad.drivers.tolerant import Value
from proad.errors import EngineUnreachableError

_TEXT = re.compile(r"([0-9]{1,3})\.([0-9]{1,3})")


class ApiVersion(NamedTuple):
    """A version such as 1.41; 1.9 is older than 1.10."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the version that `text` has, or None if it has none."""
        found = _TEXT.fullmatch(text)
        return found and cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


NEWEST_TESTED = ApiVersion(1, 51)
"""The newest version that the tests have run with, on Docker 28.5; docs/engines.md has the others.

A newer engine is spoken to in this version, as long as the engine still takes it: what a later
version means by the same words is not known.
"""


def spoken_with(engine: Value) -> ApiVersion:
    """Return the newest version that both this driver and an engine know.

    Args:
        engine: the answer to GET /version.

    Raises:
        EngineUnreachableError: there is none, or the answer is not that of a Docker Engine.
    """
    newest = ApiVersion.parse(engine["ApiVersion"].text())
    if newest is None:
        raise EngineUnreachableError(ENGINE, "the answer has no version of the API")
    spoken = min(newest, NEWEST_TESTED)
    oldest = ApiVersion.parse(engine["MinAPIVersion"].text())
    if oldest is not None and spoken < oldest:
        raise EngineUnreachableError(
            ENGINE,
            f"Docker Engine {engine['Version'].text()} takes no version of its API before {oldest}, "
            f"and Proa speaks none after {NEWEST_TESTED}: install a newer Proa, or start dockerd with "
            f"DOCKER_MIN_API_VERSION={NEWEST_TESTED} in its environment",
        )
    return spoken
