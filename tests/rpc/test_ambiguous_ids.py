"""Ambiguous ids: each candidate of the error, used as an id, is one resource."""

from uuid import UUID, uuid4

import pytest

from proad.drivers.memory import MemoryDriver
from rpc.daemon import refusal

START = "8d5e0e04"


def uuid(start=START):
    """Return a UUID with a prefix."""
    return str(UUID(start + uuid4().hex[len(start) :]))


async def settle(daemon, id, *resources, all=True):
    """Check that an id is refused and that each candidate is one of these resources."""
    refused = await refusal(daemon.call("GetResource", id=id))
    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "AMBIGUOUS_ID")
    candidates = refused.metadata["candidates"].split(",")
    found = set()
    for candidate in candidates:
        assert candidate in refused.message
        resource = (await daemon.call("GetResource", id=candidate)).resource
        found.add((resource.engine.host, resource.kind, resource.id))
    expected = {(resource.engine.host, resource.kind, resource.id) for resource in resources}
    assert len(found) == len(candidates) >= 2
    assert found == expected if all else found < expected
    return refused


@pytest.fixture
async def two_hosts(serve):
    return await serve(("a", MemoryDriver()), ("b", MemoryDriver()))


async def test_get_name_of_container_and_domain_lists_both_candidates(daemon):
    both = await daemon.container("web"), await daemon.domain("web")

    refused = await settle(daemon, "web", *both)

    assert refused.metadata["candidates"] == ",".join(resource.path for resource in both)


async def test_get_prefix_of_two_uuids_lists_both_candidates(daemon):
    both = [await daemon.domain(name, uuid=uuid()) for name in ("vm1", "vm2")]

    for id in ("8d5e", START, f"domain/{START.upper()}-", f"local/domain/{START}"):
        await settle(daemon, id, *both)


async def test_get_prefix_of_an_id_of_each_kind_lists_both_candidates(daemon):
    web = await daemon.container("web")
    vm = await daemon.domain("vm", uuid=uuid(web.id[:8]))

    await settle(daemon, web.id[:6].upper(), web, vm)


@pytest.mark.parametrize("kind", ["container", "domain"])
async def test_get_name_that_is_a_prefix_of_another_id_lists_candidates(daemon, kind):
    """A name takes precedence over a prefix of an id."""
    named = [await daemon.container(START), await daemon.domain(START, uuid=uuid())]
    other = await daemon.domain("other", uuid=uuid())

    await settle(daemon, START, *named)
    assert (await daemon.call("GetResource", id=f"{kind}/{START}")).resource.name == START
    await settle(daemon, f"domain/{START[:7]}", named[1], other)


async def test_name_like_the_short_id_of_another_catches_nothing_that_is_meant_for_it(daemon):
    """Tools print twelve digits of an id, and operators copy them."""
    web = await daemon.container("web")
    bait = await daemon.container(web.id[:12]), await daemon.container(web.id[:20].upper())

    await settle(daemon, web.id[:12], web, bait[0])
    for verb in ("StopResource", "DeleteResource"):
        refused = await refusal(daemon.call(verb, id=f"container/{bait[1].name}"))
        assert refused.reason == "AMBIGUOUS_ID"
    assert (await daemon.call("GetResource", id=web.id[:13])).resource.id == web.id
    deadbeef = await daemon.container("deadbeef" * 5)
    assert (await daemon.call("GetResource", id=deadbeef.name)).resource.id == deadbeef.id


async def test_get_name_on_two_hosts_lists_both_candidates(two_hosts):
    them = [
        await getattr(two_hosts, kind)("web", host=host)
        for host in ("a", "b")
        for kind in ("container", "domain")
    ]

    await settle(two_hosts, "web", *them)
    await settle(two_hosts, "container/web", them[0], them[2])


async def test_get_full_id_on_two_hosts_lists_both_candidates(two_hosts):
    id = uuid()
    both = [await two_hosts.domain(f"on-{host}", host=host, uuid=id) for host in ("a", "b")]

    for written in (id, id.upper(), f"domain/{id}", START):
        await settle(two_hosts, written, *both)


async def test_get_prefix_with_a_name_that_is_the_full_id_of_another_lists_ids(daemon):
    """Its own name would lead to that one, so it is named by its id."""
    web, vm = await daemon.container("web"), await daemon.domain("vm")
    for written in (web.id.upper(), web.id.title()):
        assert (await daemon.call("GetResource", id=written)).resource.id == web.id
    twins = [await daemon.domain(vm.id.upper(), uuid=uuid()), await daemon.domain("x", uuid=uuid())]

    refused = await settle(daemon, START, *twins)

    assert twins[0].id in refused.metadata["candidates"]


async def test_get_ambiguous_id_of_very_many_lists_some_and_counts_the_rest(daemon):
    many = [await daemon.domain(f"vm-{n:02}-{'x' * 40}", uuid=uuid()) for n in range(30)]

    refused = await settle(daemon, START, *many, all=False)

    shown = len(refused.metadata["candidates"].split(","))
    assert f"or {30 - shown} more" in refused.message


async def test_get_prefix_of_a_thousand_uuids_reads_none_of_them(serve, machines):
    daemon = await serve(("local", machines))
    many = [await daemon.domain(f"vm-{n}", uuid=uuid(), start=False) for n in range(1000)]
    machines.asked.clear()

    refused = await refusal(daemon.call("GetResource", id=START))

    shown = len(refused.metadata["candidates"].split(","))
    assert f"or {len(many) - shown} more" in refused.message
    assert "get_resource" not in machines.asked
