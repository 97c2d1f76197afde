"""The owner of a resource: the user whose call made it."""

import pytest

from proad.core.inventory import InventoryTiming
from proad.core.inventory.timing import RecordTiming
from proad.drivers.memory import MemoryDriver
from proad.model import ContainerSpec
from proad.timing import DaemonTiming
from rpc.daemon import BOTH, IMAGE, MEMORY_BYTES, RPCS, refusal, running
from rpc.watcher import Watcher

SPEC = ContainerSpec(image=IMAGE, name="outside")
SOON = DaemonTiming(inventory=InventoryTiming(records=RecordTiming(names_interval=0.02)))


@pytest.fixture
async def attentive(settings):
    """A daemon that hears of names at once."""
    async with running(settings(), [("local", MemoryDriver())], timing=SOON) as daemon:
        yield daemon


async def make(daemon, user, method, **fields):
    """Make a resource as a user."""
    rpc = RPCS[method]
    answer = await daemon.send(rpc, rpc.request(**fields), token=daemon.token(*BOTH, username=user))
    return answer.resource


async def owners(daemon, **filter):
    listed = await daemon.call("ListResources", filter=filter)
    return {resource.name: resource.owner for resource in listed.resources}


async def test_owner_of_every_create_is_its_caller(daemon):
    await make(daemon, "eve", "CreateContainer", spec={"image": IMAGE, "name": "box"})
    await make(daemon, "ann", "CreateDomain", spec={"name": "vm", "memory_bytes": MEMORY_BYTES})
    xml = "<domain type='test'><name>xml</name><memory>65536</memory><os><type>hvm</type></os></domain>"
    await make(daemon, "eve", "CreateDomainFromXml", xml=xml)

    assert await owners(daemon) == {"box": "eve", "vm": "ann", "xml": "eve"}
    assert (await daemon.call("GetResource", id="box")).resource.owner == "eve"


async def test_owner_is_in_the_answer_of_the_create(daemon):
    made = await make(daemon, "eve", "CreateContainer", spec={"image": IMAGE}, start=True)
    assert made.owner == "eve"


async def test_owner_of_what_was_made_outside_is_empty(daemon):
    watcher = await Watcher(daemon).begin()
    await daemon.driver.create_container(SPEC)
    await watcher.until(lambda: watcher.there)
    watcher.call.cancel()
    assert await owners(daemon) == {"outside": ""}


async def test_filter_of_owners_takes_names_in_any_case(daemon):
    for user in ("ann", "eve"):
        await make(daemon, user, "CreateContainer", spec={"image": IMAGE, "name": f"of-{user}"})
    assert await owners(daemon, owners=["EVE"]) == {"of-eve": "eve"}
    assert set(await owners(daemon, owners=["ann", "eve"])) == {"of-ann", "of-eve"}
    assert await owners(daemon, owners=["carl"]) == {}


async def test_filter_of_owners_goes_page_by_page(daemon):
    names = [f"c{number}" for number in range(7)]
    for number, name in enumerate(names):
        user = ("ann", "eve")[number % 2]
        await make(daemon, user, "CreateContainer", spec={"image": IMAGE, "name": name})
    found: list[str] = []
    token = ""
    while not found or token:
        page = await daemon.call(
            "ListResources", filter={"owners": ["ann"]}, page_size=2, page_token=token
        )
        found += [resource.name for resource in page.resources]
        token = page.next_page_token
    assert found == names[::2]


async def test_owner_who_is_renamed_keeps_what_they_made(attentive):
    await make(attentive, "eve", "CreateContainer", spec={"image": IMAGE, "name": "box"})
    watcher = await Watcher(attentive, token=attentive.token(*BOTH)).begin()
    before = (await attentive.call("GetResource", id="box")).resource

    await attentive.users.rename("eve", "evelyn")
    await watcher.until(lambda: watcher.there_by_name("box").owner == "evelyn")

    assert await owners(attentive, owners=["evelyn"]) == {"box": "evelyn"}
    assert await owners(attentive, owners=["eve"]) == {}
    after = (await attentive.call("GetResource", id="box")).resource
    assert after.etag != before.etag
    watcher.call.cancel()


async def test_owner_who_is_removed_shows_empty_also_when_the_name_comes_back(attentive):
    await make(attentive, "eve", "CreateContainer", spec={"image": IMAGE, "name": "box"})
    watcher = await Watcher(attentive).begin()

    await attentive.users.remove("eve")
    await watcher.until(lambda: not watcher.there_by_name("box").owner)
    eve = await attentive.users.add("eve", "$2b$04$" + "x" * 53, BOTH)
    attentive.versions["eve"] = eve.token_version
    await make(attentive, "eve", "CreateContainer", spec={"image": IMAGE, "name": "new"})

    assert await owners(attentive) == {"box": "", "new": "eve"}
    watcher.call.cancel()


async def test_watch_of_an_owner_tells_of_their_resources_alone(daemon):
    watcher = await Watcher(daemon, filter={"owners": ["eve"]}).begin()
    await make(daemon, "ann", "CreateContainer", spec={"image": IMAGE, "name": "hers"})
    await make(daemon, "eve", "CreateContainer", spec={"image": IMAGE, "name": "his"})
    await watcher.until(lambda: watcher.there)
    assert {resource.name for resource in watcher.there.values()} == {"his"}
    watcher.call.cancel()


async def test_create_that_fails_leaves_no_record_for_the_next_of_its_name(daemon):
    taken = {"image": IMAGE, "name": "box"}
    await make(daemon, "ann", "CreateContainer", spec=taken)
    rpc = RPCS["CreateContainer"]
    refused = await refusal(
        daemon.send(rpc, rpc.request(spec=taken), token=daemon.token(*BOTH, username="eve"))
    )
    assert refused.reason == "ALREADY_EXISTS"
    assert await owners(daemon) == {"box": "ann"}
