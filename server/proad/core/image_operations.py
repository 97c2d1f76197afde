"""Container images and registries."""

from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import replace

from proad import ports
from proad.core.engine_connection import EngineConnection
from proad.core.gate import PolicyGate
from proad.core.hosts import Hosts
from proad.core.image_ledger import ImageLedger
from proad.core.image_names import matches, names_of, plain_name
from proad.core.inventory import Inventory
from proad.core.registry_logins import RegistryLogins
from proad.core.requests import announce, cancellable, is_only_checked
from proad.core.shielded_tasks import ShieldedTasks, shielded
from proad.core.tenancy import current_visibility
from proad.errors import ImageNotFoundError, InUseError, ProaError, SeveralNamesError
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
        inventory: Inventory,
        gate: PolicyGate,
        logins: RegistryLogins,
        ledger: ImageLedger,
    ) -> None:
        self._hosts = hosts
        self._tasks = tasks
        self._inventory = inventory
        self._gate = gate
        self._logins = logins
        self._ledger = ledger

    async def list(self, which: ImageFilter, *, host: str) -> list[Image]:
        """Return the images of a host, in any order."""
        connection, driver = self._hosts.offering(ports.Images, host)
        before = await self._ledger.begin_list(connection) if which == ImageFilter() else ()
        images = await connection.read(lambda: driver.list_images(which))
        await self._ledger.end_list(before, images)
        shown = await self._ledger.shown(connection, images)
        if which.reference and shown != images:  # no name that is somebody else's counts
            shown = [image for image in shown if matches(image, which.reference)]
        return [replace(image, host=connection.ref.host) for image in shown]

    async def get(self, name: str, *, host: str) -> Image:
        """Return one image of a host in full."""
        connection, driver = self._hosts.offering(ports.Images, host)
        found = await self._ledger.resolve(connection, name)
        image = await connection.read(lambda: driver.get_image(found))
        for shown in await self._ledger.shown(connection, [image]):
            return replace(shown, host=connection.ref.host)
        raise ImageNotFoundError(name)

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
                        for image in await self._ledger.shown(connection, [event]):
                            yield replace(image, host=connection.ref.host)
                    else:
                        yield event

    async def _open_pull(
        self, connection: EngineConnection, driver: ports.Images, name: str, platform: str
    ) -> AsyncGenerator[PullProgress | Image, None]:
        async with aclosing(driver.pull_image(name, platform=platform)) as events:
            async for event in events:
                if isinstance(event, Image) and not await self._ledger.open(
                    connection, name, event
                ):
                    raise await self._unproved(driver, name, event)
                yield event

    async def _private_pull(
        self,
        connection: EngineConnection,
        driver: ports.Images,
        name: str,
        platform: str,
        credentials: RegistryCredentials,
    ) -> AsyncGenerator[PullProgress | Image, None]:
        known = await self._ledger.begin_list(connection)
        before = await connection.read(driver.list_images)
        await self._ledger.end_list(known, before)
        pull = await self._ledger.begin_pull(connection, name, before)
        pulled = driver.pull_image(name, platform=platform, credentials=credentials)
        try:
            with self._ledger.under_way(pull):
                async with aclosing(pulled) as events:
                    async for event in events:
                        if isinstance(event, Image) and not await self._ledger.end_pull(
                            connection, pull, event
                        ):
                            raise await self._unproved(driver, name, event)
                        yield event
        except ProaError:
            # What an engine has pulled though it failed stays the user's.
            with suppress(ProaError):
                try:
                    await connection.read(lambda: driver.get_image(name))
                except ImageNotFoundError:
                    await self._ledger.fail_pull(pull)
            raise

    async def _unproved(self, driver: ports.Images, name: str, image: Image) -> ImageNotFoundError:
        """Take away the name that a pull has given to an image of others; return the error."""
        tag = plain_name(name)
        if tag in image.tags and len(image.tags) > 1:
            await driver.delete_image(tag)
        return ImageNotFoundError(
            name,
            detail="in its registry that the engine would fetch: others have it here already",
            hint="who has access to all can pull it for everybody",
        )

    @shielded
    async def delete(self, name: str, *, force: bool, host: str) -> DeletedImage:
        """Delete an image of a host; of one that other users have pulled, too, only the caller's use.

        Raises:
            InUseError: also of a caller without access to all whom containers out of sight need the
                image, whatever `force` says.
        """
        connection, driver = self._hosts.offering(ports.Images, host)
        found = await self._ledger.resolve(connection, name)
        if current_visibility().is_restricted or not self._ledger.is_empty:
            image = await connection.read(lambda: driver.get_image(found))
            if await self._ledger.is_shared(connection, image):
                return await self._release(connection, driver, name, image, force=force)
            await self._check_users(connection, name, image)
        with connection.call():
            if is_only_checked():
                await driver.get_image(found)
            await announce(connection.intent(Action.DELETE_IMAGE, name=name))
            deleted = await driver.delete_image(found, force=force)
            await self._ledger.forget(connection, (*deleted.deleted, *deleted.untagged))
            return deleted

    async def _release(
        self,
        connection: EngineConnection,
        driver: ports.Images,
        name: str,
        image: Image,
        *,
        force: bool,
    ) -> DeletedImage:
        """Delete an image for the caller alone, or one of the caller's names of it."""
        known = await self._ledger.shown(connection, [image])
        if not known:
            raise ImageNotFoundError(name)
        plain = plain_name(name)
        names = (plain,) if plain in names_of(known[0]) else known[0].tags
        if len(names) > 1 and not force:
            raise SeveralNamesError(name, names)
        with connection.call():
            await announce(connection.intent(Action.DELETE_IMAGE, name=name))
            free = await self._ledger.drop(connection, image, names)
            # The last name stays, since the image would go with it.
            for tag in free[: len(image.tags) - 1]:
                await driver.delete_image(tag)
        return DeletedImage(untagged=names)

    async def _check_users(self, connection: EngineConnection, name: str, image: Image) -> None:
        """Refuse to delete an image that containers out of the caller's sight need.

        Stopped ones are as good as running ones: they could not be started or made again.
        """
        visibility = current_visibility()
        if not visibility.is_restricted:
            return
        async for resource in self._inventory.slicer.each(self._inventory.all(connection)):
            container = resource.container
            if container and container.image_id == image.id and not visibility.shows(resource):
                raise InUseError("image", name, hint="it stays while anything needs it")

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
