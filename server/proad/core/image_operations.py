"""Container images and registries."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from proad import ports
from proad.core.gate import PolicyGate
from proad.core.hosts import Hosts
from proad.core.requests import announce, cancellable
from proad.core.shielded_tasks import ShieldedTasks, shielded
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

    def __init__(self, hosts: Hosts, tasks: ShieldedTasks, gate: PolicyGate) -> None:
        self._hosts = hosts
        self._tasks = tasks
        self._gate = gate

    async def list(self, which: ImageFilter, *, host: str) -> list[Image]:
        """Return the images of a host, in any order."""
        connection, driver = self._hosts.offering(ports.Images, host)
        images = await connection.read(lambda: driver.list_images(which))
        return [replace(image, host=connection.ref.host) for image in images]

    async def get(self, name: str, *, host: str) -> Image:
        """Return one image of a host in full."""
        connection, driver = self._hosts.offering(ports.Images, host)
        return replace(
            await connection.read(lambda: driver.get_image(name)), host=connection.ref.host
        )

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
        with cancellable():
            async with aclosing(driver.pull_image(name, platform=platform)) as events:
                async for event in events:
                    if isinstance(event, Image):
                        yield replace(event, host=connection.ref.host)
                    else:
                        yield event

    @shielded
    async def delete(self, name: str, *, force: bool, host: str) -> DeletedImage:
        """Delete an image of a host."""
        connection, driver = self._hosts.offering(ports.Images, host)
        with connection.call():
            await announce(connection.intent(Action.DELETE_IMAGE, name=name))
            return await driver.delete_image(name, force=force)

    async def login(self, credentials: RegistryCredentials, *, host: str) -> None:
        """Keep credentials for the pulls of a host.

        Raises:
            PolicyDeniedError: the registry is not allowed.
        """
        await self._gate.admit_registry(credentials.registry)
        connection, driver = self._hosts.offering(ports.Images, host)
        with connection.call():
            await driver.login_registry(credentials)

    async def logout(self, registry: str, *, host: str) -> None:
        """Forget the credentials for a registry."""
        connection, driver = self._hosts.offering(ports.Images, host)
        with connection.call():
            await announce(connection.intent(Action.LOGOUT_REGISTRY, name=registry))
            await driver.logout_registry(registry)
