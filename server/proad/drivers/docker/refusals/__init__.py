"""What the Docker Engine's refusals mean, where its status has one code for several causes.

This table is the one place that looks at the engine's text, and each row says on which
versions that text was seen. docs/refusals.md shows it, and the integration tests provoke
every row. What no row knows remains a conflict, with the text passed on.
"""

import re
from collections.abc import Iterable

from proad.drivers.docker.refusals.host import HOST
from proad.drivers.docker.refusals.limits import LIMITS
from proad.drivers.docker.refusals.networks import NETWORKS
from proad.drivers.docker.refusals.options import OPTIONS
from proad.drivers.docker.refusals.registries import REGISTRIES
from proad.drivers.docker.refusals.row import DockerRefusal, RefusalMeaning

__all__ = ["REFUSALS", "REGISTRIES", "DockerRefusal", "RefusalMeaning", "known"]

# Characters at each end of a text that are looked at. The engine says what is wrong at one of
# them, and passes on in between what a request or an image holds, however long that is.
_END = 2048

REFUSALS: tuple[DockerRefusal, ...] = (*HOST, *LIMITS, *OPTIONS, *NETWORKS)


def known(
    table: Iterable[DockerRefusal], status: int, text: str
) -> Iterable[tuple[DockerRefusal, re.Match[str]]]:
    """Return the rows that an answer matches, with what they found in it."""
    if len(text) > 2 * _END:
        text = f"{text[:_END]} … {text[-_END:]}"
    for row in table:
        if status in row.statuses and (found := row.pattern.search(text)):
            yield row, found
