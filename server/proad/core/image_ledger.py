"""Whose images are: those that were pulled with credentials serve nobody else."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, replace

from proad.core.actor import current_subject, current_user_id
from proad.core.engine_connection import EngineConnection
from proad.core.image_names import find_image, in_repository, names_of, plain_name, repository_of
from proad.core.tenancy import current_visibility
from proad.errors import ImageNotFoundError
from proad.model import Image
from proad.ports import Images
from proad.ports.records import EngineIdentity, ImageRecord, ImageRecords

EVERYBODY = ""
"""Stands for the user id of everybody, once an image was pulled without credentials."""

# With the name of an image, stands for the image of a pull that has not ended: the engine shows an
# image before the pull is over, and the daemon may be killed in between.
_PULL = "pull:"
# Stands for a name that came with an image that was pulled with credentials: the image may be
# everybody's by other names, and this one is nobody else's to know.
_NAME = "name:"

Users = Mapping[str, AbstractSet[str]]
"""The ids of users, by what they have: the id of an image, a name after _NAME or _PULL."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PrivatePull:
    """A pull with credentials that is under way.

    Attributes:
        record: the record of the pull.
        name: the name that is pulled.
        ids: ids of the images that the engine had for everybody before.
        names: their names.
    """

    record: ImageRecord
    name: str
    ids: AbstractSet[str]
    names: AbstractSet[str]


class ImageLedger:
    """Who may use which images, and who knows them by which names.

    An image without a record is everybody's. One that came with a user's credentials is that
    user's, and of each other user who pulls it with credentials of their own, until a pull without
    credentials shows that the registry gives it to everybody.

    A registry that names the id of an image proves nothing: the engine fetches nothing that it has.
    A pull of an image that others have gives it to a user only if it is from a repository that
    they have it from, or by the same manifest. Users with access to all are believed.

    For all others the image does not exist: its name and its configuration are not theirs to know
    either, and what they can do about it is the same as for an image that was never pulled.

    Args:
        records: where the records outlive the daemon.
    """

    def __init__(self, records: ImageRecords) -> None:
        self._records = records
        self._known: set[ImageRecord] = set()
        self._pulls: set[PrivatePull] = set()

    @property
    def is_empty(self) -> bool:
        """Whether no image was pulled with credentials, so that all are everybody's."""
        return not self._known

    async def load(self) -> None:
        """Load the records.

        Raises:
            DatabaseUnreachableError: the records cannot be read.
        """
        self._known = set(await self._records.all())

    async def resolve(self, connection: EngineConnection, name: str) -> str:
        """Return by what an engine finds the image that the current user means, and no other.

        Looked for is among the images that the user may use, so that what is somebody else's takes
        the same way, and the same time, as what nobody has.

        Raises:
            ImageNotFoundError: the user may use no such image.
        """
        driver = connection.driver
        if not self._known or current_subject() is None or not isinstance(driver, Images):
            return name
        listed = await connection.read(driver.list_images)
        found = find_image(await self.shown(connection, listed), name)
        if found is None:
            raise ImageNotFoundError(name)
        return found[1]

    async def shown(self, connection: EngineConnection, images: Collection[Image]) -> list[Image]:
        """Return those of an engine's images that the current user may use, with known names."""
        if not self._known or current_subject() is None:
            return list(images)
        engine = await _identity(connection)
        users = self._users(engine)
        me = {EVERYBODY, current_user_id()}
        return [
            _with_names_of(image, users, me)
            for image in images
            if self._of(engine, image, users) & me
        ]

    async def is_shared(self, connection: EngineConnection, image: Image) -> bool:
        """Return whether other users than the current one have an image by pulls of their own."""
        if not self._known:
            return False
        engine = await _identity(connection)
        users = self._users(engine)
        of = self._of(engine, image, users)
        named = {each for name in names_of(image) for each in users.get(_NAME + name, ())}
        return bool((named if EVERYBODY in of else named | of) - {EVERYBODY, current_user_id()})

    async def begin_pull(
        self, connection: EngineConnection, name: str, before: Collection[Image]
    ) -> PrivatePull:
        """Note that the current user pulls an image with credentials.

        An image that everybody has by that name stays so, however the pull ends.

        Args:
            connection: the engine.
            name: the name that is pulled.
            before: all images that the engine has.
        """
        engine, me, plain = await _identity(connection), current_user_id(), plain_name(name)
        users = self._users(engine)
        pull = PrivatePull(
            record=ImageRecord(engine, _PULL + plain, me),
            name=name,
            ids={each.id for each in before if EVERYBODY in self._of(engine, each, users)},
            names={
                each
                for image in before
                for each in names_of(image)
                if _known_by({EVERYBODY}, each, users)
            },
        )
        had = [each.id for each in before if each.id in pull.ids and plain in names_of(each)]
        if had and plain in pull.names:
            await self._put(engine, [*had, _NAME + plain], EVERYBODY)
        await self._put(engine, [pull.record.image], me)
        return pull

    @contextmanager
    def under_way(self, pull: PrivatePull) -> Iterator[None]:
        """Tell apart within the block what a pull brings, and what was there before it."""
        self._pulls.add(pull)
        try:
            yield
        finally:
            self._pulls.discard(pull)

    async def end_pull(self, connection: EngineConnection, pull: PrivatePull, image: Image) -> bool:
        """Note whose an image is that the current user has pulled with credentials.

        What was everybody's before the pull stays so.

        Returns:
            Whether the user may have the image.
        """
        engine, me = await _identity(connection), current_user_id()
        users = self._users(engine)
        of = self._of(engine, image, users)
        proved = bool(of & {EVERYBODY, me}) or _proves(users, of, pull.name, image)
        if proved:
            names = {plain_name(pull.name), *in_repository(image.digests, pull.name)} - pull.names
            ids = [] if image.id in pull.ids else [image.id]
            await self._put(engine, [*ids, *(_NAME + each for each in names)], me)
        await self.fail_pull(pull)
        return proved

    async def fail_pull(self, pull: PrivatePull) -> None:
        """Forget a pull with credentials that is over."""
        if any(other.record == pull.record for other in self._pulls - {pull}):
            return
        engine, image = pull.record.engine, pull.record.image
        gone = [pull.record]
        if all(other == pull.record for other in self._having(engine, [image])):
            gone.append(ImageRecord(engine, _NAME + image.removeprefix(_PULL), EVERYBODY))
        await self._remove(gone)

    async def open(self, connection: EngineConnection, name: str, image: Image) -> bool:
        """Note that an image was pulled without credentials: everybody may have it.

        Returns:
            Whether the current user may have the image.
        """
        if not self._known:
            return True
        engine = await _identity(connection)
        users = self._users(engine)
        of = self._of(engine, image, users)
        if EVERYBODY not in of:
            if not _proves(users, of, name, image):
                return current_user_id() in of
            await self._put(engine, [image.id], EVERYBODY)
        plain = plain_name(name)
        opened = {plain, *in_repository(image.digests, name)}
        gone = {_PULL + plain, *(_NAME + each for each in opened)}
        await self._remove(self._having(engine, gone))
        return True

    async def drop(
        self, connection: EngineConnection, image: Image, names: Collection[str]
    ) -> list[str]:
        """Note that the current user needs an image no more by some of its names.

        Returns:
            Those of the names that the engine may take away, since nobody else has them.
        """
        engine, me = await _identity(connection), current_user_id()
        users = self._users(engine)
        dropped = {*names}
        kept = {*image.tags} - dropped
        for name in names:
            if not any(in_repository(kept, name)):
                dropped |= {*in_repository(image.digests, name)}
        free = [
            name
            for name in names
            if name in image.tags and not users.get(_NAME + name, set()) - {EVERYBODY, me}
        ]
        gone = {prefix + name for name in dropped for prefix in (_NAME, _PULL)}
        mine = {_NAME + name for name in names_of(image) if me in users.get(_NAME + name, ())}
        if mine <= gone:
            gone.add(image.id)
        await self._remove([r for r in self._having(engine, gone) if r.user_id == me])
        return free

    async def forget(self, connection: EngineConnection, gone: Collection[str]) -> None:
        """Forget images and names that are deleted."""
        if self._known:
            names = {_NAME + plain_name(name) for name in gone}
            await self._remove(self._having(await _identity(connection), {*gone, *names}))

    async def begin_list(self, connection: EngineConnection) -> Collection[ImageRecord]:
        """Return the records of an engine's images, before these are listed; see `end_list`."""
        if not self._known:
            return ()
        engine = await _identity(connection)
        return [r for r in self._known if r.engine == engine and not r.image.startswith(_PULL)]

    async def end_list(self, before: Collection[ImageRecord], present: Iterable[Image]) -> None:
        """Forget images and names that were there before a list of all, and are not in it."""
        there = {
            each
            for image in present
            for each in (image.id, *(_NAME + name for name in names_of(image)))
        }
        await self._remove([record for record in before if record.image not in there])

    def _users(self, engine: EngineIdentity) -> Users:
        """Return the users of what an engine has."""
        users: dict[str, set[str]] = {}
        for record in self._known:
            if record.engine == engine:
                users.setdefault(record.image, set()).add(record.user_id)
        return users

    def _having(self, engine: EngineIdentity, images: Collection[str]) -> list[ImageRecord]:
        return [r for r in self._known if r.engine == engine and r.image in images]

    async def _put(self, engine: EngineIdentity, images: Iterable[str], user_id: str) -> None:
        for image in images:
            record = ImageRecord(engine, image, user_id)
            # Known first: what cannot be written holds until the daemon ends.
            self._known.add(record)
            await self._records.put(record)

    async def _remove(self, records: Collection[ImageRecord]) -> None:
        if gone := self._known.intersection(records):
            await self._records.remove(gone)
            self._known -= gone

    def _of(self, engine: EngineIdentity, image: Image, users: Users) -> AbstractSet[str]:
        """Return the users of an image.

        One without a record is of those who are pulling it by all of its names. What was everybody's
        before these pulls stays so; where that is not known any more, since the daemon was killed
        meanwhile, it is if it has another name.
        """
        if (known := users.get(image.id)) is not None:
            return known
        pulls = {name: of for name in names_of(image) if (of := users.get(_PULL + name))}
        if not pulls:
            return {EVERYBODY}
        seen = [
            pull.ids
            for pull in self._pulls
            if pull.record.engine == engine and pull.record.image.removeprefix(_PULL) in pulls
        ]
        if any(image.id in ids for ids in seen) or (not seen and _has_others(image, pulls)):
            return {EVERYBODY}
        return frozenset.intersection(*map(frozenset, pulls.values()))


def _has_others(image: Image, names: Collection[str]) -> bool:
    """Return whether an image has other names; a digest goes with a tag of its repository."""
    repositories = {*map(repository_of, names)}
    others = [*image.tags, *(d for d in image.digests if repository_of(d) not in repositories)]
    return any(name not in names for name in others)


def _with_names_of(image: Image, users: Users, me: AbstractSet[str]) -> Image:
    """Return an image with those of its names that are everybody's or a user's."""

    def known(names: Iterable[str]) -> tuple[str, ...]:
        return tuple(name for name in names if _known_by(me, name, users))

    return replace(image, tags=known(image.tags), digests=known(image.digests))


def _known_by(some: AbstractSet[str], name: str, users: Users) -> bool:
    """Return whether a name is everybody's, or one of some users'."""
    of = {*users.get(_NAME + name, ()), *users.get(_PULL + name, ())}
    return not of or bool(of & some)


def _proves(users: Users, of: AbstractSet[str], name: str, image: Image) -> bool:
    """Return whether a pull by a name shows that its user may have what others have."""
    if not current_visibility().is_restricted or users.get(_PULL + plain_name(name), set()) & of:
        return True
    theirs = {
        each.removeprefix(_NAME)
        for each, have in users.items()
        if each.startswith(_NAME) and have & of
    }
    theirs &= {*names_of(image)}
    manifests = {each.partition("@")[2] for each in theirs} - {""}
    pulled = {each.partition("@")[2] for each in in_repository(image.digests, name)}
    return any(in_repository(theirs, name)) or bool(pulled & manifests)


async def _identity(connection: EngineConnection) -> EngineIdentity:
    return await connection.read(connection.driver.identity)
