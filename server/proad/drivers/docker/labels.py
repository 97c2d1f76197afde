"""The labels that this driver puts on what it makes, and hides from callers."""

from collections.abc import Mapping

from proad.model import Lifetime, is_reserved

CREATION_LABEL = "proa.driver.creation"
"""A nonce for each create, by which what a failed create has left behind is found."""

LIFETIME_LABEL = "proa.driver.lifetime"
"""The lifetime of a container, which Docker's list does not tell, and the id of its image.

A container has the labels of its image, too, and an image may have been committed from a
container of ours. No image can have a label with its own id: what it passes on is not believed.
"""


def visible(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels without the driver's own ones."""
    return {key: value for key, value in labels.items() if not is_reserved(key)}


def lifetime_label(lifetime: Lifetime, image_id: str) -> str:
    """Return the value of LIFETIME_LABEL."""
    return f"{lifetime.value} {image_id}"


def labelled_lifetime(labels: Mapping[str, str], image_id: str) -> Lifetime | None:
    """Return the lifetime of a container that this driver made; None for those of others."""
    value = labels.get(LIFETIME_LABEL)
    return next((each for each in Lifetime if value == lifetime_label(each, image_id)), None)
