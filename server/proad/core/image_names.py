"""Which of some images a name means, as an engine finds it."""

import re
from collections.abc import Collection, Iterator
from fnmatch import fnmatchcase

from proad.model import Image, familiar_name

_ID = re.compile(r"(?:sha256:)?(?P<digits>[0-9a-f]{4,64})")


def names_of(image: Image) -> tuple[str, ...]:
    """Return all names of an image, by tag and by digest."""
    return (*image.tags, *image.digests)


def plain_name(name: str) -> str:
    """Return a name as an engine shows it; where there is a digest, the tag counts for nothing."""
    if "@" in name:
        repository, _, digest = name.partition("@")
        name = f"{repository_of(repository)}@{digest}"
    return familiar_name(name)


def repository_of(name: str) -> str:
    """Return the registry and the path of a name, without tag and digest."""
    name = name.partition("@")[0]
    head, slash, tail = name.rpartition("/")
    return f"{head}{slash}{tail.partition(':')[0]}"


def in_repository(names: Collection[str], name: str) -> Iterator[str]:
    """Yield those of some names that are in the same repository as a name."""
    repository = repository_of(plain_name(name))
    return (each for each in names if repository_of(each) == repository)


def find_image(images: Collection[Image], name: str) -> tuple[Image, str] | None:
    """Return the image that a name means, and by what the engine finds that image and no other.

    A name of an image goes before the beginning of an id.
    """
    plain = plain_name(name)
    for image in images:
        if plain in names_of(image):
            return image, name
    if (match := _ID.fullmatch(name)) is None:
        return None
    digits = match["digits"]
    found = [each for each in images if each.id.removeprefix("sha256:").startswith(digits)]
    return (found[0], found[0].id) if len(found) == 1 else None


def matches(image: Image, reference: str) -> bool:
    """Return whether a tag of an image matches the pattern of a list, part by part."""
    return any(
        _fits(each.split("/"), reference.split("/"))
        for tag in image.tags
        for each in (tag, repository_of(tag))
    )


def _fits(parts: list[str], patterns: list[str]) -> bool:
    return len(parts) == len(patterns) and all(map(fnmatchcase, parts, patterns))
