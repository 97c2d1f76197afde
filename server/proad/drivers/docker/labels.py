"""The labels that this driver puts on what it makes, and hides from callers."""

import json
import re
from collections.abc import Iterable, Mapping

from proad.model import ContainerDisplay, DisplayProtocol, Lifetime, is_reserved

# The names that Docker gives to volumes without one.
_NAMELESS = re.compile(r"[0-9a-f]{64}")
_LAST_PORT = 2**16 - 1
_DISPLAY = re.compile(rf"({'|'.join(DisplayProtocol).lower()}):(\d{{1,5}})", re.ASCII)

CREATION_LABEL = "proa.driver.creation"
"""A nonce for each create, by which what a failed create has left behind is found."""

LIFETIME_LABEL = "proa.driver.lifetime"
"""The lifetime of a container, which Docker's list does not tell, and the id of its image.

A container has the labels of its image, too, and an image may have been committed from a
container of ours. No image can have a label with its own id: what it passes on is not believed.
"""

VOLUMES_LABEL = "proa.driver.volumes"
"""The nameless volumes that a container took over from the one that it was made again from, and
the id of its image: Docker takes them for named ones, and would not remove them with it.
"""

SECRETS_LABEL = "proa.driver.secrets"
"""The id of a container's image, and the names of the environment variables that are secrets, as
JSON. Their values are nowhere but in the environment.
"""

DISPLAY_LABEL = "proa.display"
"""How the screen of a container is reached inside, such as "vnc:5900"; images may have it, too."""


def visible(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels without the driver's own ones."""
    return {key: value for key, value in labels.items() if not is_reserved(key)}


def volumes_label(volumes: Iterable[str], image_id: str) -> str:
    """Return the value of VOLUMES_LABEL."""
    return " ".join((image_id, *sorted(volumes)))


def labelled_volumes(labels: Mapping[str, str], image_id: str) -> frozenset[str]:
    """Return the nameless volumes that go with a container that this driver has made again."""
    own, *volumes = labels.get(VOLUMES_LABEL, "").split(" ")
    return frozenset(filter(_NAMELESS.fullmatch, volumes if own == image_id else ()))


def secrets_label(names: Iterable[str], image_id: str) -> str:
    """Return the value of SECRETS_LABEL."""
    return f"{image_id} {json.dumps(sorted(names))}"


def labelled_secrets(labels: Mapping[str, str], image_id: str) -> frozenset[str]:
    """Return the names of the environment variables of a container that are secrets."""
    own, _, names = labels.get(SECRETS_LABEL, "").partition(" ")
    if own != image_id:
        return frozenset()
    try:
        found = json.loads(names)
    except ValueError:
        return frozenset()
    return frozenset(map(str, found if isinstance(found, list) else ()))


def is_nameless(volume: str) -> bool:
    """Return whether a volume has a name that Docker gave."""
    return _NAMELESS.fullmatch(volume) is not None


def display_label(display: ContainerDisplay) -> str:
    """Return the value of DISPLAY_LABEL."""
    return f"{display.protocol.lower()}:{display.port}"


def labelled_display(labels: Mapping[str, str]) -> ContainerDisplay | None:
    """Return the display that labels tell of; None if they do not, or nobody can read it."""
    found = _DISPLAY.fullmatch(labels.get(DISPLAY_LABEL, ""))
    if found is None or not 1 <= int(found[2]) <= _LAST_PORT:
        return None
    return ContainerDisplay(protocol=DisplayProtocol(found[1].upper()), port=int(found[2]))


def lifetime_label(lifetime: Lifetime, image_id: str) -> str:
    """Return the value of LIFETIME_LABEL."""
    return f"{lifetime.value} {image_id}"


def labelled_creation(labels: Mapping[str, str], image_id: str) -> str:
    """Return the nonce of the create that made a container; empty for those of others.

    One that others made from an image of the container has the nonce, too, but no lifetime.
    """
    own = labelled_lifetime(labels, image_id) is not None
    return labels.get(CREATION_LABEL, "") if own else ""


def labelled_lifetime(labels: Mapping[str, str], image_id: str) -> Lifetime | None:
    """Return the lifetime of a container that this driver made; None for those of others."""
    value = labels.get(LIFETIME_LABEL)
    return next((each for each in Lifetime if value == lifetime_label(each, image_id)), None)
