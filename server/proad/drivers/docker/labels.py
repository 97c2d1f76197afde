"""Labels that this driver puts on what it makes, and hides from callers."""

from collections.abc import Mapping

_PREFIX = "proa.driver."

# One value for each create: what a create that came to no end has left behind is
# found by it, and nothing else is.
CREATION_LABEL = f"{_PREFIX}creation"


def visible(labels: Mapping[str, str]) -> dict[str, str]:
    """Give the labels without the driver's own."""
    return {key: value for key, value in labels.items() if not key.startswith(_PREFIX)}
