"""Images that were pulled with credentials: for all but their users as if they were not there."""

import pytest

from proad.core.local_records import LocalImageRecords
from proad.drivers.memory import MemoryDriver
from proad.store.database import Database
from proad.store.images import ImageStore
from rpc.daemon import BOTH, IMAGE, RPCS, refusal, running
from rpc.tenants import tenant

REGISTRY = "registry.example:5000"
PRIVATE = f"{REGISTRY}/denied/app:1"
PUBLIC = f"{REGISTRY}/open/app:1"
GONE = "IMAGE_NOT_FOUND"


class Caller:
    """Calls of one user."""

    def __init__(self, daemon, username):
        self._daemon = daemon
        self._token = daemon.token(*BOTH, username=username)

    def call(self, name, **request):
        rpc = RPCS[name]
        call = self._daemon.send(rpc, rpc.request(**request), token=self._token)
        return read_all(call) if rpc.streams else call

    async def login(self, registry=REGISTRY):
        await self.call("LoginRegistry", registry=registry, username="u", password="p")

    async def pull(self, image=PRIVATE):
        return (await self.call("PullImage", image=image))[-1].image

    async def sees(self, image):
        listed = (await self.call("ListImages")).images
        return any(image in each.tags for each in listed)


async def read_all(call):
    return [response async for response in call]


@pytest.fixture
def records():
    return LocalImageRecords()


@pytest.fixture
async def daemon(serve, records):
    return await serve(parts={"image_records": records})


async def callers(daemon):
    """Return two users, both with all scopes."""
    other = await daemon.users.get("eve") or await daemon.users.add("eve", "x" * 60, BOTH)
    daemon.versions["eve"] = other.token_version
    return Caller(daemon, "ann"), Caller(daemon, "eve")


@pytest.fixture
async def users(daemon):
    return await callers(daemon)


async def test_login_of_one_user_pulls_for_nobody_else(users):
    ann, eve = users
    await ann.login()

    assert await ann.pull()
    assert (await refusal(eve.call("PullImage", image=PRIVATE))).reason == "REGISTRY_DENIED"


async def test_logout_ends_the_own_login_alone(users):
    ann, eve = users
    await ann.login()
    await eve.login()

    await eve.call("LogoutRegistry", registry=REGISTRY)

    assert await ann.pull()
    assert (await refusal(eve.call("PullImage", image=PRIVATE))).reason == "REGISTRY_DENIED"


def uses(image):
    """The calls that use an image, by their name."""
    return {
        "GetImage": {"image": image},
        "DeleteImage": {"image": image},
        "CreateContainer": {"spec": {"image": image}},
    }


async def test_image_of_one_user_is_not_there_for_others(users):
    ann, eve = users
    await ann.login()
    image = await ann.pull()
    nothing = f"{REGISTRY}/denied/none:1"

    for name in (PRIVATE, image.id, image.id.removeprefix("sha256:")[:12]):
        for call, request in uses(name).items():
            refused = await refusal(eve.call(call, **request))
            other = await refusal(eve.call(call, **uses(nothing)[call]))
            assert refused.reason == other.reason == GONE
            assert refused.message == other.message.replace(nothing, name)
        only_checked = {"spec": {"image": name}, "validate_only": True}
        assert (await refusal(eve.call("CreateContainer", **only_checked))).reason == GONE
    assert not await eve.sees(PRIVATE)
    assert await ann.sees(PRIVATE)
    assert (await ann.call("GetImage", image=PRIVATE)).image.id == image.id
    assert (await ann.call("CreateContainer", spec={"image": PRIVATE})).resource


async def test_recreate_with_the_image_of_another_user_is_refused(users):
    ann, eve = users
    await ann.login()
    await ann.pull()
    await eve.call("CreateContainer", spec={"image": IMAGE, "name": "web"})

    refused = await refusal(
        eve.call(
            "RecreateContainer",
            id="web",
            spec={"image": PRIVATE},
            update_mask={"paths": ["image"]},
        )
    )

    assert refused.reason == GONE


async def test_image_that_both_pulled_serves_both_until_each_deletes_it(users):
    ann, eve = users
    for each in (ann, eve):
        await each.login()
        await each.pull()
    assert await eve.sees(PRIVATE)

    deleted = await ann.call("DeleteImage", image=PRIVATE)

    assert (list(deleted.untagged), list(deleted.deleted)) == ([PRIVATE], [])
    assert not await ann.sees(PRIVATE)
    assert await eve.sees(PRIVATE)
    assert list((await eve.call("DeleteImage", image=PRIVATE)).deleted)
    assert not await eve.sees(PRIVATE)


async def test_pull_with_a_login_of_what_is_there_for_all_keeps_it_for_all(users):
    ann, eve = users
    await eve.pull(PUBLIC)
    await ann.login()

    await ann.pull(PUBLIC)

    assert await eve.sees(PUBLIC)
    assert (await eve.call("CreateContainer", spec={"image": PUBLIC})).resource


async def test_pull_without_a_login_shows_that_an_image_is_for_all(users):
    ann, eve = users
    await ann.login()
    await ann.pull(PUBLIC)
    assert not await eve.sees(PUBLIC)

    await eve.pull(PUBLIC)

    assert await eve.sees(PUBLIC)
    assert await ann.sees(PUBLIC)


async def test_image_that_was_deleted_and_comes_back_openly_is_for_all(daemon, users):
    ann, eve = users
    await ann.login()
    await ann.pull()
    (image,) = [i for i in await daemon.driver.list_images() if PRIVATE in i.tags]
    await daemon.driver.delete_image(PRIVATE)  # by somebody else, past the daemon
    await ann.call("ListImages")

    daemon.driver._engine.images[image.id] = image

    assert await eve.sees(PRIVATE)


async def test_image_is_the_pullers_before_the_pull_has_ended(serve, records):
    """The engine shows an image before its pull is over, and the daemon may die in between."""

    class Dying(MemoryDriver):
        async def pull_image(self, name, **options):
            async for event in super().pull_image(name, **options):
                if hasattr(event, "tags"):
                    raise RuntimeError("it dies")
                yield event

    daemon = await serve(("local", Dying()), parts={"image_records": records})
    ann, eve = await callers(daemon)
    await ann.login()
    assert (await refusal(ann.call("PullImage", image=PRIVATE))).code == "INTERNAL"

    assert await ann.sees(PRIVATE)
    assert not await eve.sees(PRIVATE)
    assert (await refusal(eve.call("CreateContainer", spec={"image": PRIVATE}))).reason == GONE


async def test_pull_that_fails_leaves_no_record(users, records):
    ann, _ = users
    await ann.login()

    refused = await refusal(ann.call("PullImage", image=f"{REGISTRY}/missing/app:1"))

    assert refused.reason == GONE
    assert await records.all() == []


async def test_ledger_outlives_the_daemon(settings):
    engine = MemoryDriver()
    url = settings().database_url.get_secret_value()
    async with Database.open(url) as database:
        records = ImageStore(database, "this daemon")
        known = []
        for _ in range(2):
            drivers = [("local", engine)]
            async with running(settings(), drivers, image_records=records) as daemon:
                ann, eve = await callers(daemon)
                if not await ann.sees(PRIVATE):
                    await ann.login()
                    await ann.pull()
                assert not await eve.sees(PRIVATE)
                known.append({*await records.all()})
        assert known[0] == known[1] != set()
        assert await ImageStore(database, "another daemon").all() == []


async def test_forced_delete_spares_what_stopped_containers_of_others_use(daemon):
    alice, bella = await tenant(daemon, "alice"), await tenant(daemon, "bella")
    box = await alice.container("hers", start=False)
    for more in ({}, {"force": True}, {"force": True, "validate_only": True}):
        refused = await bella.refused("DeleteImage", image=IMAGE, **more)
        assert (refused.reason, refused.metadata["used_by"]) == ("IN_USE", "")
        assert "hers" not in refused.message
    mine = await bella.refused("DeleteImage", image=IMAGE, force=True)
    await alice.call("DeleteResource", id=box.id)
    await bella.container("own", start=False)
    own = await bella.refused("DeleteImage", image=IMAGE)
    assert (mine.reason, own.reason) == ("IN_USE", "IN_USE")
    assert list((await bella.call("DeleteImage", image=IMAGE, force=True)).deleted)


async def test_forced_delete_by_who_sees_everything_goes_as_the_engine_has_it(daemon):
    alice = await tenant(daemon, "alice")
    await alice.container("hers", start=False)
    assert list((await daemon.call("DeleteImage", image=IMAGE, force=True)).deleted)
