"""Whose images are: those that were pulled with credentials serve nobody else."""

from collections.abc import Collection, Iterable

from proad.core.actor import current_subject, current_user_id
from proad.core.engine_connection import EngineConnection
from proad.errors import ImageNotFoundError
from proad.model import Image, familiar_name
from proad.ports import Images
from proad.ports.records import EngineIdentity, ImageRecord, ImageRecords

EVERYBODY = ""
"""Stands for the user id of everybody, once an image was pulled without credentials."""

_PULL = "pull:"
# Stands, with the name of an image, for the image of a pull that has not ended: the engine shows
# an image before the pull is over, and the daemon may be killed in between.


class ImageLedger:
    """Who may use which images.

    An image without a record is everybody's. One that came with a user's credentials is that
    user's, and of each other user who pulls it with credentials of their own, until a pull without
    credentials shows that the registry gives it to everybody.

    For all others the image does not exist: its name and its configuration are not theirs to know
    either, and what they can do about it is the same as for an image that was never pulled.

    Args:
        records: where the records outlive the daemon.
    """

    def __init__(self, records: ImageRecords) -> None:
        self._records = records
        self._known: set[ImageRecord] = set()

    def __bool__(self) -> bool:
        """Return whether any image was pulled with credentials."""
        return bool(self._known)

    async def load(self) -> None:
        """Load the records.

        Raises:
            DatabaseUnreachableError: the records cannot be read.
        """
        self._known = set(await self._records.all())

    async def check(self, connection: EngineConnection, name: str) -> None:
        """Check that the current user may use an image, if there is one of that name.

        Raises:
            ImageNotFoundError: the image is somebody else's.
        """
        driver = connection.driver
        if not self._known or current_subject() is None or not isinstance(driver, Images):
            return
        image = await connection.read(lambda: driver.get_image(name))
        if not await self.allowed(connection, [image]):
            raise ImageNotFoundError(name)

    async def allowed(self, connection: EngineConnection, images: Collection[Image]) -> list[Image]:
        """Return those of an engine's images that the current user may use."""
        if not self._known or current_subject() is None:
            return list(images)
        users = self._users(await _identity(connection))
        me = {EVERYBODY, current_user_id()}
        return [image for image in images if not (of := _of(image, users)) or of & me]

    async def others(self, connection: EngineConnection, image: Image) -> bool:
        """Return whether an image is that of other users, too, and not everybody's."""
        users = self._users(await _identity(connection)) if self._known else {}
        of = _of(image, users)
        return EVERYBODY not in of and bool(of - {current_user_id()})

    async def begin_pull(self, connection: EngineConnection, name: str) -> None:
        """Note that the current user pulls an image with credentials."""
        await self._put(await _identity(connection), _pull(name), current_user_id())

    async def end_pull(
        self, connection: EngineConnection, name: str, image: Image, *, was_there: bool
    ) -> None:
        """Note whose an image is that the current user has pulled with credentials.

        `was_there`: the engine had the image before; without a record, it stays everybody's.
        """
        engine, me = await _identity(connection), current_user_id()
        mine = ImageRecord(engine, _pull(name), me)
        others = _of(image, self._users(engine, without=mine))
        if others or not was_there:
            await self._put(engine, image.id, me)
        await self._remove([mine])

    async def fail_pull(self, connection: EngineConnection, name: str) -> None:
        """Forget a pull with credentials that has left no image."""
        await self._remove(
            [ImageRecord(await _identity(connection), _pull(name), current_user_id())]
        )

    async def open(self, connection: EngineConnection, name: str, image: Image) -> None:
        """Note that an image was pulled without credentials: everybody may have it."""
        if not self._known:
            return
        engine = await _identity(connection)
        pulls = self._having(engine, {_pull(name)})
        if self._having(engine, {image.id}) or pulls:
            await self._put(engine, image.id, EVERYBODY)
        await self._remove(pulls)

    async def drop(self, connection: EngineConnection, image: Image) -> None:
        """Note that the current user needs an image no more."""
        engine = await _identity(connection)
        mine = {image.id, *map(_pull, (*image.tags, *image.digests))}
        me = current_user_id()
        await self._remove([r for r in self._having(engine, mine) if r.user_id == me])

    async def forget(self, connection: EngineConnection, ids: Collection[str]) -> None:
        """Forget images that are deleted."""
        if self._known:
            await self._remove(self._having(await _identity(connection), ids))

    async def begin_list(self, connection: EngineConnection) -> Collection[ImageRecord]:
        """Return the records of an engine's images, before these are listed; see `end_list`."""
        if not self._known:
            return ()
        engine = await _identity(connection)
        return [r for r in self._known if r.engine == engine and not r.image.startswith(_PULL)]

    async def end_list(self, before: Collection[ImageRecord], present: Iterable[Image]) -> None:
        """Forget images that were there before a list of all images, and are not in it."""
        ids = {image.id for image in present}
        await self._remove([record for record in before if record.image not in ids])

    def _users(
        self, engine: EngineIdentity, *, without: ImageRecord | None = None
    ) -> dict[str, set[str]]:
        """Return the users of an engine's images, by the id or the pull of each."""
        users: dict[str, set[str]] = {}
        for record in self._known:
            if record.engine == engine and record != without:
                users.setdefault(record.image, set()).add(record.user_id)
        return users

    def _having(self, engine: EngineIdentity, images: Collection[str]) -> list[ImageRecord]:
        return [r for r in self._known if r.engine == engine and r.image in images]

    async def _put(self, engine: EngineIdentity, image: str, user_id: str) -> None:
        record = ImageRecord(engine, image, user_id)
        # Known first: what cannot be written holds until the daemon ends.
        self._known.add(record)
        await self._records.put(record)

    async def _remove(self, records: Collection[ImageRecord]) -> None:
        if gone := self._known.intersection(records):
            await self._records.remove(gone)
            self._known -= gone


def _pull(name: str) -> str:
    return _PULL + familiar_name(name)


def _of(image: Image, users: dict[str, set[str]]) -> set[str]:
    """Return the users of an image; of one without a record, those who were pulling it."""
    if (known := users.get(image.id)) is not None:
        return known
    pulls = (users.get(_pull(name), set()) for name in (*image.tags, *image.digests))
    return set().union(*pulls)


async def _identity(connection: EngineConnection) -> EngineIdentity:
    return await connection.read(connection.driver.identity)
