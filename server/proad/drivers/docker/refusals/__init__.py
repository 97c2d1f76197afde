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
from proad.drivers.docker.refusals.row import Meaning, Refusal

__all__ = ["REFUSALS", "REGISTRIES", "Meaning", "Refusal", "known"]

REFUSALS: tuple[Refusal, ...] = (*HOST, *LIMITS, *OPTIONS, *NETWORKS)


def known(
    table: Iterable[Refusal], status: int, text: str
) -> Iterable[tuple[Refusal, re.Match[str]]]:
    """Return the rows that an answer matches, with what they found in it."""
    for row in table:
        if status in row.statuses and (found := row.pattern.search(text)):
            yield row, found
