"""The label that this driver puts on what it makes, and hides from callers."""

from collections.abc import Mapping

# One value for each create: what a create that came to no end has left behind is
# found by it, and nothing else is.
CREATION_LABEL = "proa.driver.creation"


def visible(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels without the driver's own one."""
    return {key: value for key, value in labels.items() if key != CREATION_LABEL}
