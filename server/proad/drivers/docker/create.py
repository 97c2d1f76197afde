"""Creation of containers: all or nothing."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from proad.drivers.docker.errors import ENGINE
from proad.drivers.docker.http.api import Answer, quoted
from proad.drivers.docker.http.engine_client import EngineClient
from proad.drivers.docker.images import check_name
from proad.drivers.docker.labels import (
    CREATION_LABEL,
    LIFETIME_LABEL,
    SECRETS_LABEL,
    VOLUMES_LABEL,
    lifetime_label,
    secrets_label,
    volumes_label,
)
from proad.drivers.docker.names import require_container_name
from proad.drivers.docker.reader import FULL_ID, ContainerReader, path
from proad.drivers.docker.recovery import ContainerRecovery
from proad.drivers.docker.spec import creation, endpoint
from proad.drivers.docker.timing import CleanUpTiming
from proad.drivers.docker.view import ended
from proad.drivers.under_way import CreatesUnderWay
from proad.errors import (
    AlreadyExistsError,
    EngineConflictError,
    EngineTimedOutError,
    EngineUnreachableError,
    Findings,
    ImageNotFoundError,
    InvalidArgumentError,
    ProaError,
)
from proad.model import ContainerSpec, CreatedContainer, Footprint, ImageDefaults, Lifetime
from proad.ports import AnnounceFootprint, JudgeImage, any_image


class ContainerCreator:
    """Creates containers and removes what is left of a failed create."""

    def __init__(
        self,
        engine: EngineClient,
        reader: ContainerReader,
        recovery: ContainerRecovery,
        under_way: CreatesUnderWay,
        timing: CleanUpTiming = CleanUpTiming(),
    ) -> None:
        self._engine = engine
        self._timing = timing
        self._reader = reader
        self._recovery = recovery
        self._under_way = under_way
        self._cleanups: set[asyncio.Task[Any]] = set()

    async def close(self) -> None:
        """Cancel clean-ups that still wait for the engine."""
        for cleanup in self._cleanups:
            cleanup.cancel()
        await asyncio.gather(*self._cleanups, return_exceptions=True)

    async def create(
        self,
        spec: ContainerSpec,
        *,
        start: bool,
        announce: AnnounceFootprint,
        judge: JudgeImage = any_image,
        carried: frozenset[str] = frozenset(),
    ) -> CreatedContainer:
        """Create a container; with `start`, start it; see `ports.Containers`.

        `carried` are nameless volumes of another container that are to go with this one.
        """
        check_name(spec.image, "spec.image")
        nonce = uuid4().hex
        body = creation(spec, nonce)
        image_id, networks = await self._check(spec, start=start, judge=judge)
        body["Labels"][LIFETIME_LABEL] = lifetime_label(spec.lifetime, image_id)
        if spec.env_secret:
            body["Labels"][SECRETS_LABEL] = secrets_label(spec.env_secret, image_id)
        if carried:
            body["Labels"][VOLUMES_LABEL] = volumes_label(carried, image_id)
        # Docker tells of the container before it answers with its id.
        footprint = Footprint(
            mark=nonce, create_time=datetime.now(UTC), start=start, networks=networks
        )
        await announce(footprint)
        self._under_way.add(footprint)
        # Shield the create: on cancellation the engine may be in the middle of a step, whose
        # outcome must be known before the step can be undone.
        make = self._make(spec, body, nonce, start=start, judged=image_id)
        making = asyncio.create_task(make)
        try:
            created = await asyncio.shield(making)
        except BaseException as error:
            sure = isinstance(error, ProaError) and not _unsure(error)
            undo = asyncio.create_task(self._undo(making, nonce, look_again=not sure))
            undo.add_done_callback(lambda _: self._under_way.discard(footprint))
            await self.clean_up(undo)
            raise
        self._under_way.discard(footprint)
        return created

    async def _check(
        self, spec: ContainerSpec, *, start: bool, judge: JudgeImage
    ) -> tuple[str, tuple[str, ...]]:
        """Raise what the create would fail with, as far as that is cheap to know.

        Return the id of the image, and the names of the networks beyond the first.
        """
        findings = Findings()
        image = await self._engine.get(f"/images/{quoted(spec.image)}/json")
        with findings.noted():
            if not image.ok:
                raise await self._refused(spec, image)
            await judge(_defaults(image))
        with findings.noted():
            require_container_name(spec.name, "spec.name")
            if spec.name and (owner := await self._reader.listed_id_of(spec.name)):
                raise AlreadyExistsError("container", spec.name, existing_id=owner)
        further: list[str] = []
        for number, attachment in enumerate(spec.networks):
            # Docker looks for the first network at the start alone.
            if not attachment.stands_alone and (start or number):
                network = await self._engine.get(f"/networks/{quoted(attachment.network)}")
                with findings.noted():
                    if not network.ok:
                        raise await self._reader.failure(network, spec)
                    further += [network.value()["Name"].text()] if number else []
        findings.check()
        return image.value()["Id"].text(), tuple(further)

    async def _make(
        self,
        spec: ContainerSpec,
        body: dict[str, Any],
        nonce: str,
        *,
        start: bool,
        judged: str,
    ) -> CreatedContainer:
        for name in {m.volume.name for m in spec.mounts if m.volume and m.volume.name}:
            # Docker would create the volume, too, but without a label to find it by.
            volume = {"Name": name, "Labels": {CREATION_LABEL: nonce}}
            await self._step(spec, "/volumes/create", volume)
        params = {"name": spec.name} if spec.name else None
        answer = await self._engine.post("/containers/create", params=params, body=body)
        if not answer.ok:
            raise await self._refused(spec, answer)
        made = answer.value()
        id = made["Id"].text()
        if not FULL_ID.fullmatch(id):
            raise EngineConflictError(ENGINE, "the answer to the create has no id of a container")
        for attachment in spec.networks[1:]:
            connection = {"Container": id, "EndpointConfig": endpoint(attachment)}
            await self._step(spec, f"/networks/{quoted(attachment.network)}/connect", connection)
        resource = await self._reader.get(id)
        if resource.container is None or resource.container.image_id != judged:
            # Docker has resolved the name once more. The container has the labels of one of the
            # image before, by which it would not be found again.
            await self._remove(id)
            raise EngineConflictError(
                ENGINE, f"the image {spec.image!r} has become another one meanwhile; try again"
            )
        if start:
            await self._step(spec, path(id, "/start"))
            now = await self._reader.find(id)
            if now is None and spec.lifetime is Lifetime.PERSISTENT:
                now = await self._reader.get(id)
            # A TRANSIENT container that runs for a moment may be gone already.
            resource = now or replace(ended(resource), state_detail=resource.state_detail)
        return CreatedContainer(resource=resource, warnings=made["Warnings"].texts())

    async def _remove(self, id: str) -> None:
        answer = await self._engine.delete(path(id), params={"force": 1, "v": 1})
        if not answer.ok and answer.status != HTTPStatus.NOT_FOUND:
            raise await self._reader.failure(answer)

    async def _step(
        self, spec: ContainerSpec, step: str, body: dict[str, Any] | None = None
    ) -> None:
        answer = await self._engine.post(step, body=body)
        # A container that somebody else has started by now runs, as wanted.
        if not answer.ok and answer.status != HTTPStatus.NOT_MODIFIED:
            raise await self._reader.failure(answer, spec)

    async def _refused(self, spec: ContainerSpec, answer: Answer) -> ProaError:
        if answer.status in {HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST}:
            # The image may be the cause, or a network, or any other field.
            image = await self._engine.get(f"/images/{quoted(spec.image)}/json")
            if image.status == HTTPStatus.NOT_FOUND:
                return ImageNotFoundError(spec.image)
            if image.status == HTTPStatus.BAD_REQUEST:
                return InvalidArgumentError.of("spec.image", image.text)
        if answer.status == HTTPStatus.CONFLICT and spec.name:
            # A container that is being created or removed has the name, and is not shown.
            owner = await self._reader.id_of(spec.name)
            return AlreadyExistsError("container", spec.name, existing_id=owner)
        return await self._reader.failure(answer, spec)

    async def clean_up(self, cleanup: "asyncio.Task[Any]") -> None:
        """Wait for a clean-up for as long as a caller does, and end it at `close`."""
        self._cleanups.add(cleanup)
        cleanup.add_done_callback(self._cleanups.discard)
        await asyncio.wait({cleanup}, timeout=self._timing.wait.total_seconds())

    async def _undo(
        self, making: "asyncio.Task[CreatedContainer]", nonce: str, *, look_again: bool
    ) -> None:
        """Remove all that is labelled with `nonce`, and try again while the engine is away.

        `look_again`: the engine may still be at it, so that nothing there yet means little.
        """
        with suppress(ProaError):
            await making
            look_again = False
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._timing.give_up_after.total_seconds()
        while clock() < deadline:
            with suppress(ProaError):
                gone = await self._recovery.remove(nonce)
                if gone or (gone is None and not look_again):
                    return
                look_again = look_again and gone is None
            await asyncio.sleep(self._timing.retry_after.total_seconds())


def _defaults(image: Answer) -> ImageDefaults:
    told = image.value()
    config = told["Config"]
    return ImageDefaults(
        id=told["Id"].text(),
        working_dir=config["WorkingDir"].text(),
        volumes=tuple(target for target, _ in config["Volumes"].entries()),
    )


def _unsure(error: ProaError) -> bool:
    """Return whether the engine may still do what it did not answer."""
    return isinstance(error, EngineTimedOutError | EngineUnreachableError)
