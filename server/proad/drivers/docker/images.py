"""Images on the host."""

from http import HTTPStatus

from proad.drivers.docker.errors import refused
from proad.drivers.docker.http.api import Answer, filters, quoted
from proad.drivers.docker.http.engine_client import EngineClient
from proad.drivers.docker.view import environment
from proad.drivers.tolerant import Value
from proad.errors import (
    ImageNotFoundError,
    InUseError,
    InvalidArgumentError,
    ProaError,
    SeveralNamesError,
)
from proad.model import (
    DeletedImage,
    Image,
    ImageFilter,
    check_image_name,
)

_NAMELESS = frozenset({"<none>:<none>", "<none>@<none>"})


class DockerImages:
    """Lists, shows and deletes images."""

    def __init__(self, engine: EngineClient) -> None:
        self._engine = engine

    async def find(self, which: ImageFilter) -> list[Image]:
        """List images; see the port."""
        conditions = {"label": [f"{key}={value}" for key, value in which.labels.items()]}
        if which.reference:
            conditions["reference"] = [which.reference]
        if which.dangling is not None:
            conditions["dangling"] = [str(which.dangling).lower()]

        def read(answer: Answer) -> list[Image]:
            if not answer.ok:
                raise refused(answer.status, answer.text, which)
            return listed(answer)

        return await self._engine.read("/images/json", read, params=filters(conditions))

    async def get(self, name: str) -> Image:
        """Return one image in full; see the port."""

        def read(answer: Answer) -> Image:
            if answer.status == HTTPStatus.NOT_FOUND:
                raise ImageNotFoundError(name)
            if answer.status == HTTPStatus.BAD_REQUEST:
                raise InvalidArgumentError.of("image", answer.text)
            return full(answer.value(name))

        return await self._engine.read(_path(name, "/json"), read)

    async def delete(self, name: str, *, force: bool) -> DeletedImage:
        """Delete an image or a tag; see the port."""
        answer = await self._engine.delete(_path(name), params={"force": int(force)})
        match answer.status:
            case HTTPStatus.NOT_FOUND:
                raise ImageNotFoundError(name)
            case HTTPStatus.BAD_REQUEST:
                raise InvalidArgumentError.of("image", answer.text)
            case HTTPStatus.CONFLICT:
                raise await self._in_use(name, answer.text, force=force)
        gone = list(answer.value(name).each())
        return DeletedImage(
            untagged=tuple(filter(None, (item["Untagged"].text() for item in gone))),
            deleted=tuple(filter(None, (item["Deleted"].text() for item in gone))),
        )

    async def _in_use(self, name: str, text: str, *, force: bool) -> ProaError:
        """Return the error for an image that the engine keeps, with the containers that need it."""
        image = await self.get(name)
        names = (*image.tags, *image.digests)
        by_name = bool({name, f"{name}:latest"} & set(names))
        answer = await self._engine.get("/containers/json", params={"all": 1})
        users = [item for item in answer.value().each() if item["ImageID"].text() == image.id]
        if not users and not by_name and len(names) > 1:
            return SeveralNamesError(name, names)
        if not users:
            answer = await self._engine.get("/images/json", params={"all": 1})
            children = [item for item in answer.value().each() if _parent(item) == image.id]
            based = [next(iter(_names(c["RepoTags"])), c["Id"].text()) for c in children]
            return InUseError("image", name, based, text=text)
        hint = "delete what uses it first"
        # The engine takes a name off whatever runs, and an image from what does not.
        if not force and (by_name or not any(item["State"].text() == "running" for item in users)):
            hint += ", or set force"
        who = [
            next(iter(i["Names"].texts()), "").removeprefix("/") or i["Id"].text() for i in users
        ]
        return InUseError("image", name, who, text=text, hint=hint)


def _parent(item: Value) -> str:
    return item["ParentId"].text()


def listed(answer: Answer) -> list[Image]:
    """Convert GET /images/json to images, without those that have no id."""
    images = []
    for item in answer.value().each():
        if id := item["Id"].text():
            about = item.about(id)
            images.append(
                Image(
                    id=id,
                    tags=_names(about["RepoTags"]),
                    digests=_names(about["RepoDigests"]),
                    create_time=about["Created"].timestamp(),
                    size_bytes=about["Size"].count(),
                    labels=about["Labels"].mapping(),
                )
            )
    return images


def full(item: Value) -> Image:
    """Convert GET /images/{name}/json to an image."""
    config = item["Config"]
    return Image(
        id=item["Id"].text(),
        tags=_names(item["RepoTags"]),
        digests=_names(item["RepoDigests"]),
        create_time=item["Created"].time(),
        size_bytes=item["Size"].count(),
        labels=config["Labels"].mapping(),
        architecture=item["Architecture"].text(),
        os=item["Os"].text(),
        entrypoint=config["Entrypoint"].texts(),
        command=config["Cmd"].texts(),
        env=environment(config["Env"].texts()),
        exposed_ports=tuple(sorted(port for port, _ in config["ExposedPorts"].entries())),
    )


def check_name(name: str, field: str = "image") -> None:
    """Refuse what can be no image name, before it becomes a part of a path.

    Raises:
        InvalidArgumentError: with `field`.
    """
    try:
        check_image_name(name)
    except ValueError as error:
        raise InvalidArgumentError.of(field, str(error)) from None


def _path(name: str, action: str = "") -> str:
    check_name(name)
    return f"/images/{quoted(name)}{action}"


def _names(names: Value) -> tuple[str, ...]:
    return tuple(name for name in names.texts() if name not in _NAMELESS)
