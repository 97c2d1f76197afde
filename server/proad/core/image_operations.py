"""Container images and registries."""

from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import replace

from proad import ports
from proad.core.engine_connection import EngineConnection
from proad.core.gate import PolicyGate
from proad.core.hosts import Hosts
from proad.core.image_ledger import ImageLedger
from proad.core.registry_logins import RegistryLogins
from proad.core.requests import announce, cancellable
from proad.core.shielded_tasks import ShieldedTasks, shielded
from proad.errors import ImageNotFoundError, ProaError
from proad.model import (
    Action,
    DeletedImage,
    Image,
    ImageFilter,
    PullProgress,
    RegistryCredentials,
)


class ImageOperations:
    """Lists, pulls and deletes images on the hosts, and logs in to registries.

    Errors are those of the port.
    """

    def __init__(
        self,
        hosts: Hosts,
        tasks: ShieldedTasks,
        gate: PolicyGate,
        logins: RegistryLogins,
        ledger: ImageLedger,
    ) -> None:
        self._hosts = hosts
        self._tasks = tasks
        self._gate = gate
        self._logins = logins
        self._ledger = ledger

    async def list(self, which: ImageFilter, *, host: str) -> list[Image]:
        """Return the images of a host, in any order."""
        connection, driver = self._hosts.offering(ports.Images, host)
        before = await self._ledger.begin_list(connection) if which == ImageFilter() else ()
        images = await connection.read(lambda: driver.list_images(which))
        await self._ledger.end_list(before, images)
        images = await self._ledger.allowed(connection, images)
        return [replace(image, host=connection.ref.host) for image in images]

    async def get(self, name: str, *, host: str) -> Image:
        """Return one image of a host in full."""
        connection, driver = self._hosts.offering(ports.Images, host)
        image = await connection.read(lambda: driver.get_image(name))
        if not await self._ledger.allowed(connection, [image]):
            raise ImageNotFoundError(name)
        return replace(image, host=connection.ref.host)

    async def pull(
        self, name: str, *, platform: str, host: str
    ) -> AsyncGenerator[PullProgress | Image, None]:
        """Pull an image to a host; the last item is the image. Closing the generator ends the pull.

        Raises:
            PolicyDeniedError: the registry is not allowed.
        """
        await self._gate.admit_image(name)
        connection, driver = self._hosts.offering(ports.Images, host)
        connection.check()
        await announce(connection.intent(Action.PULL_IMAGE, name=name))
        credentials = self._logins.find(connection.ref.host, name)
        if credentials is None:
            pull = self._open_pull(connection, driver, name, platform)
        else:
            pull = self._private_pull(connection, driver, name, platform, credentials)
        with cancellable():
            async with aclosing(pull) as events:
                async for event in events:
                    if isinstance(event, Image):
                        yield replace(event, host=connection.ref.host)
                    else:
                        yield event

    async def _open_pull(
        self, connection: EngineConnection, driver: ports.Images, name: str, platform: str
    ) -> AsyncGenerator[PullProgress | Image, None]:
        async with aclosing(driver.pull_image(name, platform=platform)) as events:
            async for event in events:
                if isinstance(event, Image):
                    await self._ledger.open(connection, name, event)
                yield event

    async def _private_pull(
        self,
        connection: EngineConnection,
        driver: ports.Images,
        name: str,
        platform: str,
        credentials: RegistryCredentials,
    ) -> AsyncGenerator[PullProgress | Image, None]:
        before = {image.id for image in await connection.read(driver.list_images)}
        await self._ledger.begin_pull(connection, name)
        pull = driver.pull_image(name, platform=platform, credentials=credentials)
        try:
            async with aclosing(pull) as events:
                async for event in events:
                    if isinstance(event, Image):
                        there = event.id in before
                        await self._ledger.end_pull(connection, name, event, was_there=there)
                    yield event
        except ProaError:
            # What an engine has pulled though it failed stays the user's.
            with suppress(ProaError):
                try:
                    await connection.read(lambda: driver.get_image(name))
                except ImageNotFoundError:
                    await self._ledger.fail_pull(connection, name)
            raise

    @shielded
    async def delete(self, name: str, *, force: bool, host: str) -> DeletedImage:
        """Delete an image of a host; of one that other users have pulled, too, only the caller's use."""
        connection, driver = self._hosts.offering(ports.Images, host)
        await self._ledger.check(connection, name)
        with connection.call():
            await announce(connection.intent(Action.DELETE_IMAGE, name=name))
            if self._ledger:
                image = await driver.get_image(name)
                if await self._ledger.others(connection, image):
                    await self._ledger.drop(connection, image)
                    return DeletedImage(untagged=(name,))
            deleted = await driver.delete_image(name, force=force)
            await self._ledger.forget(connection, deleted.deleted)
            return deleted

    async def login(self, credentials: RegistryCredentials, *, host: str) -> None:
        """Keep credentials for the caller's own pulls of a host.

        Raises:
            PolicyDeniedError: the registry is not allowed.
        """
        await self._gate.admit_registry(credentials.registry)
        connection, driver = self._hosts.offering(ports.Images, host)
        with connection.call():
            await driver.check_credentials(credentials)
        self._logins.keep(connection.ref.host, credentials)

    async def logout(self, registry: str, *, host: str) -> None:
        """Forget the caller's credentials for a registry."""
        connection, _driver = self._hosts.offering(ports.Images, host)
        await announce(connection.intent(Action.LOGOUT_REGISTRY, name=registry))
        self._logins.forget(connection.ref.host, registry)
