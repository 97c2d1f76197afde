"""Images on the host."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from proad.drivers.docker.api import filters, quoted
from proad.drivers.docker.engine import Engine
from proad.drivers.docker.view import environment
from proad.errors import (
    ImageNotFoundError,
    InUseError,
    InvalidArgumentError,
)
from proad.model import (
    DeletedImage,
    Image,
    ImageFilter,
)

Json = Mapping[str, Any]

_NAME = re.compile(r"\w+(?:(?:[.-]+|[/:@])\w+)*", re.ASCII)
_LONGEST_NAME = 500
_NAMELESS = frozenset({"<none>:<none>", "<none>@<none>"})


class ImageStore:
    """Lists, shows and deletes images."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def find(self, which: ImageFilter) -> list[Image]:
        """List images; see the port."""
        conditions = {"label": [f"{key}={value}" for key, value in which.labels.items()]}
        if which.reference:
            conditions["reference"] = [which.reference]
        if which.dangling is not None:
            conditions["dangling"] = [str(which.dangling).lower()]
        answer = await self._engine.get("/images/json", params=filters(conditions))
        return [
            Image(
                id=item["Id"],
                tags=_names(item.get("RepoTags")),
                digests=_names(item.get("RepoDigests")),
                create_time=datetime.fromtimestamp(item["Created"], UTC),
                size_bytes=item["Size"],
                labels=item.get("Labels") or {},
            )
            for item in answer.json()
        ]

    async def get(self, name: str) -> Image:
        """Give one image in full; see the port."""
        answer = await self._engine.get(_path(name, "/json"))
        if answer.status == HTTPStatus.NOT_FOUND:
            raise ImageNotFoundError(name)
        if answer.status == HTTPStatus.BAD_REQUEST:
            raise InvalidArgumentError.of("image", answer.text)
        item: Json = answer.json()
        config: Json = item.get("Config") or {}
        created = item.get("Created")
        return Image(
            id=item["Id"],
            tags=_names(item.get("RepoTags")),
            digests=_names(item.get("RepoDigests")),
            create_time=datetime.fromisoformat(created) if created else None,
            size_bytes=item["Size"],
            labels=config.get("Labels") or {},
            architecture=item.get("Architecture") or "",
            os=item.get("Os") or "",
            entrypoint=tuple(config.get("Entrypoint") or ()),
            command=tuple(config.get("Cmd") or ()),
            env=environment(config.get("Env")),
            exposed_ports=tuple(sorted(config.get("ExposedPorts") or {})),
        )

    async def delete(self, name: str, *, force: bool) -> DeletedImage:
        """Delete an image or a tag; see the port."""
        answer = await self._engine.delete(_path(name), params={"force": int(force)})
        match answer.status:
            case HTTPStatus.NOT_FOUND:
                raise ImageNotFoundError(name)
            case HTTPStatus.BAD_REQUEST:
                raise InvalidArgumentError.of("image", answer.text)
            case HTTPStatus.CONFLICT:
                raise InUseError("image", name, await self._users(name), text=answer.text)
        gone = answer.json()
        return DeletedImage(
            untagged=tuple(item["Untagged"] for item in gone if "Untagged" in item),
            deleted=tuple(item["Deleted"] for item in gone if "Deleted" in item),
        )

    async def _users(self, name: str) -> list[str]:
        """Give the names of the containers that use an image."""
        image = await self.get(name)
        answer = await self._engine.get("/containers/json", params={"all": 1})
        return [
            item["Names"][0].removeprefix("/") if item["Names"] else item["Id"]
            for item in answer.json()
            if item["ImageID"] == image.id
        ]


def check_name(name: str, field: str = "image") -> None:
    """Refuse what can be no image name, before it becomes a part of a path.

    Raises:
        InvalidArgumentError: with `field`.
    """
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        raise InvalidArgumentError.of(field, "is no image name, such as debian:12")


def _path(name: str, action: str = "") -> str:
    check_name(name)
    return f"/images/{quoted(name)}{action}"


def _names(names: list[str] | None) -> tuple[str, ...]:
    return tuple(name for name in names or () if name not in _NAMELESS)
