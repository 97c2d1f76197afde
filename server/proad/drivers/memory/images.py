"""The imitated engine's images and registries."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from datetime import timedelta
from fnmatch import fnmatchcase

from proad.drivers.memory.engine import ImitatedEngine, now
from proad.errors import (
    ImageNotFoundError,
    InUseError,
    RegistryDeniedError,
    RegistryUnreachableError,
)
from proad.model import DeletedImage, Image, ImageFilter, PullProgress, RegistryCredentials

_LAYER_BYTES = 2**20
_STEPS = 4


class MemoryImages:
    """Images that are only names.

    `proa-test/busybox:1` is there from the start; any other name can be pulled, except
    those whose first part is `missing` (not found), and `denied`, which want a login.
    The password "wrong" is refused by every registry, and one on a host `down` never answers.
    """

    def __init__(self, engine: ImitatedEngine, pull_step: timedelta) -> None:
        self._engine = engine
        self._pull_step = pull_step
        image = _made_up("proa-test/busybox:1", architecture="amd64")
        self._engine.images[image.id] = image

    def get(self, name: str) -> Image:
        """Return an image by name, id or digest. Raises ImageNotFoundError."""
        wanted = _tagged(name)
        for image in self._engine.images.values():
            if wanted in image.tags or name in {image.id, *image.digests}:
                return image
            if len(name) >= 4 and image.id.removeprefix("sha256:").startswith(name):  # noqa: PLR2004 - a short id
                return image
        raise ImageNotFoundError(name)

    async def list_images(self, which: ImageFilter = ImageFilter()) -> list[Image]:
        """Return the images."""
        self._engine.connection.check()
        return [
            Image(
                id=image.id,
                tags=image.tags,
                digests=image.digests,
                create_time=image.create_time,
                size_bytes=image.size_bytes,
                labels=image.labels,
            )
            for image in self._engine.images.values()
            if _matches(image, which)
        ]

    async def get_image(self, name: str) -> Image:
        """Return one image in full."""
        self._engine.connection.check()
        return self.get(name)

    async def pull_image(
        self, name: str, *, platform: str, credentials: RegistryCredentials | None
    ) -> AsyncGenerator[PullProgress | Image, None]:
        """Pull an image in a few steps; there is nothing that travels."""
        self._engine.connection.check()
        registry, path = _split(name)
        _reach_registry(registry)
        if path.startswith("missing/"):
            raise ImageNotFoundError(
                name, detail="in its registry", hint="see whether name and tag are right"
            )
        if path.startswith("denied/") and credentials is None:
            raise RegistryDeniedError(
                registry, "it wants a login", advice="use LoginRegistry first"
            )
        image = _made_up(_tagged(name), architecture=platform.partition("/")[2] or "amd64")
        layer = image.id[-12:]
        for step in range(_STEPS + 1):
            done = _LAYER_BYTES * step // _STEPS
            yield PullProgress(
                layer_id=layer,
                status="Downloading" if step < _STEPS else "Pull complete",
                current_bytes=done,
                total_bytes=_LAYER_BYTES,
            )
            await asyncio.sleep(self._pull_step.total_seconds())
            self._engine.connection.check()
        image = self._engine.images.setdefault(image.id, image)
        yield PullProgress(status=f"Status: Downloaded newer image for {_tagged(name)}")
        yield image

    async def delete_image(self, name: str, *, force: bool = False) -> DeletedImage:
        """Delete an image. None has more than one name here."""
        self._engine.connection.check()
        image = self.get(name)
        users = [
            workload
            for workload in self._engine.workloads.values()
            if workload.resource.container and workload.resource.container.image_id == image.id
        ]
        if users and (not force or any(user.run for user in users)):
            raise InUseError("image", name, [user.resource.name for user in users])
        del self._engine.images[image.id]
        return DeletedImage(untagged=image.tags, deleted=(image.id,))

    async def check_credentials(self, credentials: RegistryCredentials) -> None:
        """Take any credentials but the password "wrong"."""
        self._engine.connection.check()
        _reach_registry(credentials.registry)
        if credentials.password == "wrong":  # noqa: S105 - the one that is refused
            raise RegistryDeniedError(
                credentials.registry,
                "user name or password is wrong",
                advice="what was kept before, still is",
            )


def _tagged(name: str) -> str:
    """Complete a name as Docker does: the tag is `latest` where there is none."""
    if "@" in name or ":" in name.rpartition("/")[2]:
        return name
    return f"{name}:latest"


def _split(name: str) -> tuple[str, str]:
    """Take the registry off a name; it is empty for Docker Hub."""
    first, slash, rest = name.partition("/")
    if slash and (first == "localhost" or {".", ":"} & set(first)):
        return first, rest
    return "", name


def _reach_registry(registry: str) -> None:
    if registry.partition(":")[0].partition(".")[0] == "down":
        raise RegistryUnreachableError(registry, "the registry does not answer")


def _made_up(tag: str, *, architecture: str) -> Image:
    digest = hashlib.sha256(f"{tag} {architecture}".encode()).hexdigest()
    return Image(
        id=f"sha256:{digest}",
        tags=(tag,),
        digests=(f"{tag.partition('@')[0].rpartition(':')[0]}@sha256:{digest}",),
        create_time=now(),
        size_bytes=_LAYER_BYTES,
        architecture=architecture,
        os="linux",
        command=("sh",),
        env={"PATH": "/bin"},
    )


def _matches(image: Image, which: ImageFilter) -> bool:
    pattern = which.reference
    return (
        (
            not pattern
            or any(
                fnmatchcase(tag, pattern) or fnmatchcase(tag.rpartition(":")[0], pattern)
                for tag in image.tags
            )
        )
        and all(image.labels.get(key) == value for key, value in which.labels.items())
        and (which.dangling is None or which.dangling == (not image.tags))
    )
