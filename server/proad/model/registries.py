"""Names of images, and of registries, as Docker derives them from those."""

import re

DOCKER_HUB = "docker.io"

_HOST = re.compile(
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][A-Za-z0-9_.-]*)(?::(?P<port>[0-9]{1,5}))?"
)

_IMAGE = re.compile(r"\w+(?:(?:[.-]+|[/:@])\w+)*", re.ASCII)
_LONGEST_IMAGE = 500


def check_image_name(name: str) -> None:
    """Refuse what can be no image name, before it becomes a part of a path.

    Raises:
        ValueError: it is none.
    """
    if len(name) > _LONGEST_IMAGE or not _IMAGE.fullmatch(name):
        raise ValueError("is no image name, such as debian:12")


def registry_of(image: str) -> str:
    """Return the registry of an image: HOST or HOST:PORT.

    The part before the first slash is a registry if it contains a dot, a colon or a capital
    letter, or is localhost; otherwise the image is on Docker Hub.
    """
    first, slash, _ = image.partition("/")
    if slash and (set(first) & set(".:") or first == "localhost" or first != first.lower()):
        return DOCKER_HUB if first == f"index.{DOCKER_HUB}" else first
    return DOCKER_HUB


def familiar_name(image: str) -> str:
    """Return the name that an engine shows of an image that is pulled by a name."""
    if "@" not in image and ":" not in image.rpartition("/")[2]:
        image = f"{image}:latest"
    for prefix in (f"index.{DOCKER_HUB}/", f"{DOCKER_HUB}/"):
        image = image.removeprefix(prefix)
    return image.removeprefix("library/")


def host_and_port(registry: str) -> tuple[str, str]:
    """Return the host, in lower case and without brackets and trailing dots, and the port.

    Raises:
        ValueError: the text is neither HOST nor HOST:PORT.
    """
    match = _HOST.fullmatch(registry)
    if match is None:
        raise ValueError("must be HOST or HOST:PORT, as it stands at the start of an image name")
    return match["host"].strip("[]").rstrip(".").lower(), match["port"] or ""
