"""The canonical path of a resource, which is an id wherever a request takes one."""

import pytest

from proa import v1
from proad.drivers.memory import MemoryDriver
from rpc.daemon import refusal

UUID = "8d5e957f-297d-43fc-8dd6-6b1b9eb9d6b4"
# All that the configuration allows in the name of a host.
HOSTS = ("container", "a.b_c-d", "0" * 63)


@pytest.fixture
async def daemon_of_three(serve):
    return await serve(*((host, MemoryDriver()) for host in HOSTS))


async def test_path_is_host_kind_and_id(daemon):
    web, vm = await daemon.container("web"), await daemon.domain("vm")

    assert web.path == f"local/container/{web.id}"
    assert vm.path == f"local/domain/{vm.id}"


@pytest.mark.parametrize("view", ["RESOURCE_VIEW_SUMMARY", "RESOURCE_VIEW_FULL"])
async def test_path_is_in_every_view(daemon, view):
    web = await daemon.container("web")

    (listed,) = (await daemon.call("ListResources", view=view)).resources
    got = (await daemon.call("GetResource", id=web.id, view=view)).resource

    assert listed.path == got.path == web.path
    assert listed.epoch == got.epoch == web.epoch != ""


async def test_path_of_one_uuid_on_several_hosts_means_one_resource(daemon_of_three):
    made = [await daemon_of_three.domain("vm", host=host, uuid=UUID) for host in HOSTS]

    assert len({vm.path for vm in made}) == len(HOSTS)
    for vm in made:
        for written in (vm.path, vm.path.replace(UUID, UUID.upper().replace("-", ""))):
            got = (await daemon_of_three.call("GetResource", id=written)).resource
            assert (got.path, got.engine) == (vm.path, vm.engine)


async def test_path_of_another_kind_or_host_is_not_found(daemon_of_three):
    web = await daemon_of_three.container("web", host=HOSTS[1])

    for path in (f"{HOSTS[1]}/domain/{web.id}", f"{HOSTS[0]}/container/{web.id}", f"x{web.path}"):
        refused = await refusal(daemon_of_three.call("GetResource", id=path))
        assert refused.reason == "RESOURCE_NOT_FOUND"


async def test_path_goes_before_a_name_that_is_the_id(daemon):
    web = await daemon.container("web")
    await daemon.container(web.id)

    assert (await daemon.call("GetResource", id=web.path)).resource.name == "web"


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("PauseResource", {}),
        ("StopResource", {"mode": "STOP_MODE_FORCE"}),
        ("RestartResource", {"mode": "RESTART_MODE_FORCE"}),
        ("DeleteResource", {"force": True}),
        ("CreateSnapshot", {"name": "s"}),
        ("ListSnapshots", {}),
        ("GetDomainXml", {}),
    ],
)
async def test_call_with_a_path_is_about_that_resource(daemon, method, fields):
    vm, other = await daemon.domain("vm"), await daemon.domain("other")

    await daemon.call(method, id=vm.path, **fields)

    assert (await daemon.call("GetResource", id=other.path)).resource.revision == other.revision


async def test_stats_of_a_path_are_of_that_resource(daemon):
    web, _ = await daemon.container("web"), await daemon.container("other")

    call = daemon.call("StreamStats", ids=[web.path])
    response = await call.read()
    call.cancel()

    assert [one.id for one in response.stats] == [web.id]


async def test_list_filter_ids_take_paths(daemon_of_three):
    made = [await daemon_of_three.domain("vm", host=host, uuid=UUID) for host in HOSTS]
    web = await daemon_of_three.container("web", host=HOSTS[0])

    async def listed(*ids):
        answer = await daemon_of_three.call("ListResources", filter={"ids": ids})
        return {resource.path for resource in answer.resources}

    assert await listed(made[1].path, web.id) == {made[1].path, web.path}
    assert await listed(made[1].path.replace(UUID, UUID.upper())) == {made[1].path}
    assert await listed(UUID) == {vm.path for vm in made}
    assert await listed(f"nope/domain/{UUID}") == set()


async def test_watch_filter_ids_take_paths(daemon):
    web, other = await daemon.container("web"), await daemon.container("other")
    call = daemon.call("WatchResources", filter={"ids": [web.path]})
    first = await call.read()
    assert [event.change.resource.path for event in first.events if event.HasField("change")] == [
        web.path
    ]
    while not any(event.bookmark.synced for event in first.events):
        first = await call.read()

    await daemon.call("PauseResource", id=other.path)
    await daemon.call("PauseResource", id=web.path)

    told = (await call.read()).events
    call.cancel()
    assert {event.change.resource.path for event in told} == {web.path}


async def test_error_of_a_verb_names_the_path(daemon):
    web = await daemon.container("web")

    refused = await refusal(daemon.call("StartResource", id="web"))

    assert refused.metadata["path"] == web.path


async def test_epoch_of_another_run_differs(serve):
    one, other = await serve(("local", MemoryDriver())), await serve(("local", MemoryDriver()))

    epochs = {(await daemon.container("web")).epoch for daemon in (one, other)}

    assert len(epochs) == 2
    assert v1.Resource().epoch not in epochs
