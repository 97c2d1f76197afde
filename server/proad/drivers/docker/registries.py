"""Pulls of images from registries."""

import base64
import json
from collections.abc import AsyncGenerator
from datetime import timedelta
from http import HTTPStatus

import structlog

from proad.drivers.docker.errors import registry_refused
from proad.drivers.docker.http.api import Answer, quoted
from proad.drivers.docker.http.engine_client import EngineClient
from proad.drivers.docker.http.stream import JsonStream
from proad.drivers.docker.images import DockerImages, check_name
from proad.drivers.docker.timing import DockerTiming
from proad.errors import (
    EngineConflictError,
    ProaError,
    RegistryDeniedError,
)
from proad.model import DOCKER_HUB, Image, PullProgress, RegistryCredentials, registry_of

_log = structlog.get_logger(__name__)

_MOST_LOGGED = 500
_DOCKER_HUB_SERVER = "https://index.docker.io/v1/"
_DENIED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


class Registries:
    """Pulls images, and lets registries check credentials.

    Args:
        engine: the engine, which talks to the registries.
        images: returns what was pulled.
        pull_silence: duration for which a pull may tell nothing, since a registry may keep it
            waiting; dockerd itself gives up on dead connections.
    """

    def __init__(
        self,
        engine: EngineClient,
        images: DockerImages,
        pull_silence: timedelta = DockerTiming().pull_silence,
    ) -> None:
        self._pull_silence = pull_silence
        self._engine = engine
        self._images = images

    async def pull(
        self, name: str, platform: str, credentials: RegistryCredentials | None
    ) -> AsyncGenerator[PullProgress | Image, None]:
        """Pull an image; see the port."""
        repository, tag = split_reference(name)
        params = {"fromImage": repository, "tag": tag}
        if platform:
            params["platform"] = platform
        stream = await self._engine.streaming.begin(
            "/images/create",
            params=params,
            headers=_auth_header(credentials),
            silence=self._pull_silence,
        )
        if isinstance(stream, Answer):
            raise await self._pull_refused(name, credentials, stream.status, stream.text)
        async for progress in self._progress(stream, name, credentials):
            yield progress
        yield await self._images.get(_joined(repository, tag))

    async def check(self, credentials: RegistryCredentials) -> None:
        """Let the registry check credentials; see the port."""
        registry = credentials.registry or DOCKER_HUB
        answer = await self._engine.post("/auth", body=_auth(credentials))
        if not answer.ok:
            _note(registry, answer.status, answer.text)
            denied = RegistryDeniedError(
                registry,
                "user name or password is wrong",
                advice="mind that it may want an access token; what was kept before, still is",
            )
            probe = f"{registry}/proa/login:latest"
            raise await self._refused(answer.status, answer.text, probe, credentials, denied)

    async def _progress(
        self, stream: JsonStream, name: str, credentials: RegistryCredentials | None
    ) -> AsyncGenerator[PullProgress, None]:
        try:
            while (item := await stream.next()) is not None:
                if detail := item["errorDetail"]:
                    status = detail["code"].count() or HTTPStatus.INTERNAL_SERVER_ERROR
                    text = detail["message"].text() or item["error"].text() or "the pull failed"
                    raise await self._pull_refused(name, credentials, status, text)
                progress = item["progressDetail"]
                yield PullProgress(
                    # The first line's id is the tag: it has no progressDetail.
                    layer_id=item["id"].text() if "progressDetail" in item else "",
                    status=item["status"].text(),
                    current_bytes=progress["current"].count(),
                    total_bytes=progress["total"].count(),
                )
        finally:
            stream.close()

    async def _pull_refused(
        self, name: str, known: RegistryCredentials | None, status: int, text: str
    ) -> ProaError:
        registry = registry_of(name)
        _note(registry, status, text)
        # To made-up ones the registry itself answers, with a code.
        credentials = known or RegistryCredentials(
            registry=registry,
            username="anonymous",
            password="anonymous",  # noqa: S106 - made up
        )
        denied = RegistryDeniedError(
            registry,
            "the user of LoginRegistry may not have this image" if known else "it wants a login",
            advice="log in as one who may" if known else "use LoginRegistry first",
        )
        return await self._refused(status, text, name, credentials, denied)

    async def _refused(
        self,
        status: int,
        text: str,
        image: str,
        credentials: RegistryCredentials,
        denied: RegistryDeniedError,
    ) -> ProaError:
        """Distinguish refused credentials from other failures of a registry.

        The engine calls them a fault of its own (500), but not when it is asked about an image.
        """
        if status in _DENIED:
            return denied
        error = registry_refused(registry_of(image), image, status, text)
        if not isinstance(error, EngineConflictError):
            return error
        probe = _joined(*split_reference(image))
        return denied if await self._denied(probe, credentials) else error

    async def _denied(self, image: str, credentials: RegistryCredentials) -> bool:
        answer = await self._engine.get(
            f"/distribution/{quoted(image)}/json", headers=_auth_header(credentials)
        )
        return answer.status in _DENIED


def split_reference(name: str) -> tuple[str, str]:
    """Split an image name into repository and tag (default "latest") or digest.

    Raises:
        InvalidArgumentError: it is no image name.
    """
    check_name(name)
    repository, at, digest = name.partition("@")
    if at:
        return repository, digest
    head, colon, tag = name.rpartition(":")
    if colon and "/" not in tag:  # otherwise it is the port of a registry
        return head, tag
    return name, "latest"


def _note(registry: str, status: int, text: str) -> None:
    """Log what the engine said. Its words hold what the registry, or whatever answers there,
    sent: that is not for callers, who may have named the place in order to read it.
    """
    _log.warning("registry", registry=registry, status=status, text=text[:_MOST_LOGGED])


def _joined(repository: str, tag: str) -> str:
    return f"{repository}{'@' if ':' in tag else ':'}{tag}"


def _auth(credentials: RegistryCredentials) -> dict[str, str]:
    return {
        "username": credentials.username,
        "password": credentials.password,
        "serveraddress": _DOCKER_HUB_SERVER
        if credentials.registry in {"", DOCKER_HUB}
        else credentials.registry,
    }


def _auth_header(credentials: RegistryCredentials | None) -> dict[str, str]:
    if credentials is None:
        return {}
    content = json.dumps(_auth(credentials)).encode()
    return {"X-Registry-Auth": base64.urlsafe_b64encode(content).decode()}
