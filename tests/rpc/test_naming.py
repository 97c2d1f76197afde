"""How callers may name a resource."""

import pytest

from proa import v1
from proad.drivers.memory import MemoryDriver
from proad.model import DomainSpec
from rpc.daemon import MEMORY_BYTES, refusal


async def found(daemon, id):
    return (await daemon.call("GetResource", id=id)).resource.id


@pytest.fixture
async def web(daemon):
    return await daemon.container("web")


@pytest.fixture
async def vm(daemon):
    return await daemon.domain("vm")


async def test_find_full_id_is_the_resource(daemon, web, vm):
    assert await found(daemon, web.id) == web.id
    assert await found(daemon, vm.id) == vm.id


async def test_find_prefix_of_a_container_id_is_the_container(daemon, web):
    for length in (4, 12, 63):
        assert await found(daemon, web.id[:length]) == web.id


async def test_find_prefix_of_three_digits_is_not_found(daemon, web):
    assert (await refusal(daemon.call("GetResource", id=web.id[:3]))).reason == "RESOURCE_NOT_FOUND"


def spellings(uuid):
    """Return the accepted spellings of a UUID."""
    bare = uuid.replace("-", "")
    return uuid, uuid.upper(), bare, bare.upper(), uuid.title()


async def test_find_a_uuid_in_any_case_or_without_hyphens_is_the_domain(daemon, web, vm):
    for written in spellings(vm.id):
        for place in ("", "domain/", "local/domain/"):
            assert await found(daemon, place + written) == vm.id


async def test_find_number_of_a_running_domain_is_the_domain_while_it_runs(daemon, web, vm):
    number = (await daemon.call("GetResource", id="vm")).resource.domain.runtime_id
    for place in ("domain", "local/domain"):
        assert await found(daemon, f"{place}/#{number}") == vm.id
    paused = (await daemon.call("PauseResource", id=f"domain/#{number}")).resource
    assert (paused.id, paused.state) == (vm.id, v1.RESOURCE_STATE_PAUSED)
    await daemon.call("StopResource", id=f"domain/#{number}", mode="STOP_MODE_FORCE")
    await daemon.call("StartResource", id="vm")

    for id in (f"domain/#{number}", f"container/#{number}", f"#{number}", "domain/#0", "domain/#x"):
        refused = await refusal(daemon.call("GetResource", id=id))
        assert refused.reason == "RESOURCE_NOT_FOUND"


async def test_find_number_goes_before_the_name_of_another_domain(daemon, vm):
    """Others than we make domains of any name."""
    number = (await daemon.call("GetResource", id="vm")).resource.domain.runtime_id
    other = await daemon.driver.create_domain(
        DomainSpec(name=f"#{number}", memory_bytes=MEMORY_BYTES)
    )

    assert await found(daemon, f"domain/#{number}") == vm.id
    assert await found(daemon, f"#{number}") == other.id


async def test_find_number_on_two_hosts_lists_both_candidates(serve):
    daemon = await serve(("a", MemoryDriver()), ("b", MemoryDriver()))
    both = [await daemon.domain("vm", host=host) for host in ("a", "b")]
    numbers = {(await daemon.call("GetResource", id=f"{each.engine.host}/domain/vm"))
               .resource.domain.runtime_id for each in both}  # fmt: skip
    (number,) = numbers

    refused = await refusal(daemon.call("GetResource", id=f"domain/#{number}"))

    assert refused.metadata["candidates"].split(",") == [each.path for each in both]
    assert await found(daemon, f"b/domain/#{number}") == both[1].id


async def test_find_the_start_of_a_uuid_is_the_domain(daemon, vm):
    for written in spellings(vm.id):
        for length in (4, 8, 9, 12, 14, 19, len(written) - 1):
            assert await found(daemon, written[:length]) == vm.id
            assert await found(daemon, f"domain/{written[:length]}") == vm.id


async def test_find_the_start_of_a_uuid_with_hyphens_elsewhere_is_refused(daemon, vm):
    for written in (f"{vm.id[:4]}-{vm.id[4:8]}", f"{vm.id[:8]}--", f"-{vm.id[:8]}", vm.id[:3]):
        assert (await refusal(daemon.call("GetResource", id=written))).reason == (
            "RESOURCE_NOT_FOUND"
        )


async def test_find_a_container_id_in_upper_case_is_the_container(daemon, web):
    for length in (4, 12, 63, 64):
        assert await found(daemon, web.id[:length].upper()) == web.id
        assert await found(daemon, f"container/{web.id[:length].upper()}") == web.id


async def test_find_name_with_and_without_kind_and_host_is_the_resource(daemon, web, vm):
    for name in ("web", "container/web", "local/container/web"):
        assert await found(daemon, name) == web.id
    for name in ("vm", "domain/vm", "local/domain/vm", f"domain/{vm.id}"):
        assert await found(daemon, name) == vm.id


@pytest.mark.parametrize(
    "name", ["domain/web", "container/vm", "other/container/web", "we", "webb", "WEB", " web"]
)
async def test_find_unknown_is_not_found(daemon, web, vm, name):
    refused = await refusal(daemon.call("GetResource", id=name))

    assert (refused.reason, refused.metadata["resource"]) == ("RESOURCE_NOT_FOUND", name)


async def test_find_id_with_the_other_kind_is_not_found(daemon, web, vm):
    """A verb on an id of one kind never reaches a resource of the other kind."""
    for name in (f"container/{vm.id}", f"domain/{web.id}", f"local/container/{vm.id}"):
        refused = await refusal(daemon.call("StopResource", id=name, mode="STOP_MODE_FORCE"))
        assert (refused.reason, refused.metadata["resource"]) == ("RESOURCE_NOT_FOUND", name)
    assert [await daemon.state(each.id) for each in (web, vm)] == ["RUNNING", "RUNNING"]


@pytest.mark.parametrize("name", ["", "/", "web/", "/web", "image/web", "a/b/container/web", "//"])
async def test_find_invalid_name_is_refused(daemon, web, name):
    refused = await refusal(daemon.call("GetResource", id=name))

    assert (refused.reason, refused.fields) == ("INVALID_ARGUMENT", ["id"])


async def test_find_name_of_both_kinds_is_settled_by_the_kind(daemon):
    container, domain = await daemon.container("web"), await daemon.domain("web")

    refused = await refusal(daemon.call("GetResource", id="web"))

    assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "AMBIGUOUS_ID")
    candidates = refused.metadata["candidates"].split(",")
    assert {await found(daemon, candidate) for candidate in candidates} == {
        container.id,
        domain.id,
    }
    assert await found(daemon, container.id) == container.id


async def test_verb_ambiguous_name_changes_nothing(daemon):
    await daemon.container("web")
    await daemon.domain("web")

    for verb in ("StopResource", "PauseResource", "DeleteResource"):
        assert (await refusal(daemon.call(verb, id="web"))).reason == "AMBIGUOUS_ID"

    assert await daemon.state("container/web") == "RUNNING"
    assert await daemon.state("domain/web") == "RUNNING"


@pytest.mark.parametrize("kind", ["container", "domain"])
async def test_find_a_name_that_is_the_start_of_an_id_is_who_is_called_so(daemon, web, vm, kind):
    for other in (web, vm):
        named = await getattr(daemon, kind)(other.id[:8])

        assert await found(daemon, other.id[:8]) == named.id
        assert await found(daemon, other.id[:9]) == other.id


async def test_find_full_id_that_is_also_a_name_is_the_resource_with_the_id(daemon, web):
    await daemon.domain(web.id)

    assert await found(daemon, web.id) == web.id


async def test_find_full_id_in_another_spelling_is_the_resource_with_the_id(daemon, web, vm):
    for written in (web.id.upper(), vm.id.upper(), vm.id.replace("-", "")):
        await daemon.container(written)

    assert await found(daemon, web.id.upper()) == web.id
    assert await found(daemon, vm.id.upper()) == vm.id
    assert await found(daemon, vm.id.replace("-", "")) == vm.id


@pytest.fixture
async def two_hosts(serve):
    return await serve(("a", MemoryDriver()), ("b", MemoryDriver()))


async def test_find_name_on_two_hosts_is_settled_by_the_host(two_hosts):
    on_a = await two_hosts.container("web", host="a")
    on_b = await two_hosts.container("web", host="b")

    refused = await refusal(two_hosts.call("GetResource", id="web"))

    assert refused.metadata["candidates"] == f"{on_a.path},{on_b.path}"
    assert await found(two_hosts, "a/container/web") == on_a.id
    assert await found(two_hosts, "b/container/web") == on_b.id
    assert {on_a.engine.host, on_b.engine.host} == {"a", "b"}


async def test_verb_goes_to_the_host_of_the_resource(two_hosts):
    on_b = await two_hosts.container("web", host="b")

    stopped = (await two_hosts.call("StopResource", id="web")).resource

    assert (stopped.id, stopped.engine.host) == (on_b.id, "b")


async def test_create_without_host_goes_to_the_first_host(two_hosts):
    assert (await two_hosts.domain("vm")).engine.host == "a"
    refused = await refusal(
        two_hosts.call("CreateDomain", spec={"name": "x", "memory_bytes": 2**26}, host="c")
    )

    assert (refused.reason, refused.metadata) == ("HOST_NOT_FOUND", {"host": "c"})
