"""Whose images are while pulls are under way, and after some that never ended."""

import pytest

from proad.core.actor import act_for
from proad.core.engine_connection import EngineConnection
from proad.core.image_ledger import ImageLedger
from proad.core.local_records import LocalImageRecords
from proad.drivers.memory import MemoryDriver
from proad.model import Access, Image, Subject

PRIVATE, LIE, PUBLIC = "corp.example/app:1", "liar.example/app:1", "debian:12"
ID = f"sha256:{'a' * 64}"


def image(*tags):
    return Image(id=ID, tags=tags)


def acting(name, access=Access.OWN):
    act_for(Subject(username=name, user_id=name, access=access))


@pytest.fixture
async def connection():
    async with MemoryDriver() as driver:
        connection = EngineConnection("local", driver)
        await connection.probe()
        yield connection


@pytest.fixture
def records():
    return LocalImageRecords()


@pytest.fixture
def ledger(records):
    return ImageLedger(records)


async def names(ledger, connection, user, *tags):
    """Return the names that a user knows an image by; None: the user does not see it."""
    acting(user)
    shown = await ledger.shown(connection, [image(*tags)])
    return shown[0].tags if shown else None


async def test_image_is_its_pullers_alone_before_the_pull_ends(ledger, connection):
    acting("ann")
    pull = await ledger.begin_pull(connection, PRIVATE, [])
    with ledger.under_way(pull):
        acting("bob")
        assert not await ledger.open(connection, LIE, image(PRIVATE, LIE))
        assert await names(ledger, connection, "bob", PRIVATE, LIE) is None
        assert await names(ledger, connection, "ann", PRIVATE) == (PRIVATE,)
        acting("ann")
        assert await ledger.end_pull(connection, pull, image(PRIVATE))
    assert await names(ledger, connection, "ann", PRIVATE) == (PRIVATE,)
    assert await names(ledger, connection, "bob", PRIVATE) is None


async def test_image_that_was_everybodys_stays_so_while_it_is_pulled(ledger, connection):
    acting("ann")
    pull = await ledger.begin_pull(connection, PRIVATE, [image(PUBLIC)])
    with ledger.under_way(pull):
        assert await names(ledger, connection, "bob", PUBLIC, PRIVATE) == (PUBLIC,)
        acting("ann")
        assert await ledger.end_pull(connection, pull, image(PUBLIC, PRIVATE))
    assert await names(ledger, connection, "bob", PUBLIC, PRIVATE) == (PUBLIC,)
    assert await names(ledger, connection, "ann", PUBLIC, PRIVATE) == (PUBLIC, PRIVATE)


@pytest.mark.parametrize("ends", ["cancelled", "failed", "killed"])
async def test_pull_that_fails_takes_nothing_from_everybody(ledger, connection, records, ends):
    """The engine or the daemon died meanwhile, or ann went away: the image is the one of before."""
    acting("ann")
    pull = await ledger.begin_pull(connection, PUBLIC, [image(PUBLIC)])
    with ledger.under_way(pull):
        assert await names(ledger, connection, "bob", PUBLIC) == (PUBLIC,)
    if ends == "failed":
        await ledger.fail_pull(pull)
        assert {record.image for record in await records.all()} == {ID}
    if ends == "killed":
        ledger = ImageLedger(records)
        await ledger.load()
    for user in ("bob", "ann"):
        assert await names(ledger, connection, user, PUBLIC) == (PUBLIC,)
        assert not await ledger.is_shared(connection, image(PUBLIC)) or user == "bob"
    acting("ann")
    again = await ledger.begin_pull(connection, PUBLIC, [image(PUBLIC)])
    with ledger.under_way(again):
        assert await ledger.end_pull(connection, again, image(PUBLIC))
    assert await names(ledger, connection, "bob", PUBLIC) == (PUBLIC,)
    assert {record.image for record in await records.all()} == {ID}


async def test_pull_that_another_one_outlives_takes_no_name_from_everybody(ledger, connection):
    acting("ann")
    anns = await ledger.begin_pull(connection, PUBLIC, [image(PUBLIC)])
    acting("bob")
    bobs = await ledger.begin_pull(connection, PUBLIC, [image(PUBLIC)])
    with ledger.under_way(bobs):
        acting("ann")
        with ledger.under_way(anns):
            assert await ledger.end_pull(connection, anns, image(PUBLIC))
        assert await names(ledger, connection, "eve", PUBLIC) == (PUBLIC,)


async def test_pull_that_never_ended_leaves_a_lie_with_nothing(ledger, connection):
    """The daemon was killed: its database has that ann was pulling, and no more."""
    acting("ann")
    await ledger.begin_pull(connection, PRIVATE, [])
    acting("bob")
    lie = await ledger.begin_pull(connection, LIE, [image(PRIVATE)])
    with ledger.under_way(lie):
        assert await names(ledger, connection, "bob", PRIVATE, LIE) is None
        acting("bob")
        assert not await ledger.end_pull(connection, lie, image(PRIVATE, LIE))
    assert await names(ledger, connection, "bob", PRIVATE) is None
    acting("ann")
    again = await ledger.begin_pull(connection, PRIVATE, [image(PRIVATE)])
    with ledger.under_way(again):
        assert await ledger.end_pull(connection, again, image(PRIVATE))
    assert await names(ledger, connection, "bob", PRIVATE) is None
    assert await names(ledger, connection, "ann", PRIVATE) == (PRIVATE,)


async def test_two_pulls_of_a_name_at_once_both_give_it(ledger, connection, records):
    pulls = []
    for user in ("ann", "ann", "bob"):
        acting(user)
        pulls.append((user, await ledger.begin_pull(connection, PRIVATE, [])))
    for user, pull in pulls:
        acting(user)
        with ledger.under_way(pull):
            assert await ledger.end_pull(connection, pull, image(PRIVATE))
    for user in ("ann", "bob"):
        assert await names(ledger, connection, user, PRIVATE) == (PRIVATE,)
    assert await names(ledger, connection, "eve", PRIVATE) is None
    assert {record.image for record in await records.all()} == {ID, f"name:{PRIVATE}"}


@pytest.mark.parametrize(("access", "believed"), [(Access.OWN, False), (Access.ALL, True)])
async def test_open_pull_by_another_name_is_believed_of_who_may_see_all(
    ledger, connection, access, believed
):
    acting("ann")
    pull = await ledger.begin_pull(connection, PRIVATE, [])
    with ledger.under_way(pull):
        await ledger.end_pull(connection, pull, image(PRIVATE))
    acting("olga", access)
    assert await ledger.open(connection, PUBLIC, image(PRIVATE, PUBLIC)) is believed
    seen = await names(ledger, connection, "bob", PRIVATE, PUBLIC)
    assert seen == ((PUBLIC,) if believed else None)
