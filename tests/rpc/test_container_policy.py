"""What containers may share with those of others: volumes, folders and networks."""

import asyncio

import grpc
import pytest

from proad.model import Access, ContainerSpec, Mount, VolumeMount
from proad.store.teams import TeamStore
from relaxed_policy import SHARED_NETWORKS
from rpc.daemon import IMAGE, refusal
from rpc.loop_time import longest_callback
from rpc.tenants import tenant

DATA = [{"target": "/data", "volume": {"name": "data"}}]


@pytest.fixture
async def strict(serve):
    """A daemon under the default policy, where tenants may be on the default network."""
    return await serve(policy=SHARED_NETWORKS)


@pytest.fixture
async def alice(strict):
    return await tenant(strict, "alice")


@pytest.fixture
async def bella(strict):
    return await tenant(strict, "bella")


def rules(refused):
    assert refused.reason == "POLICY_DENIED", refused
    return {each.type for each in refused.details["PreconditionFailure"].violations}


async def test_volume_of_another_tenant_is_denied_to_create_and_recreate(strict, alice, bella):
    await alice.container("hers", mounts=DATA)
    await alice.container("again", mounts=DATA)
    own = await bella.container("own")

    spec = {"image": IMAGE, "mounts": DATA}
    create = await bella.refused("CreateContainer", spec=spec)
    mask = {"paths": ["mounts"]}
    recreate = await bella.refused("RecreateContainer", id=own.id, spec=spec, update_mask=mask)

    assert rules(create) == rules(recreate) == {"volume of another"}
    await strict.container("of-all", mounts=DATA)


async def test_volume_stays_the_tenants_when_its_container_is_gone(alice, bella):
    await alice.container("hers", mounts=DATA, start=False)
    await alice.call("DeleteResource", id="hers")

    refused = await bella.refused("CreateContainer", spec={"image": IMAGE, "mounts": DATA})

    assert rules(refused) == {"volume of another"}
    await alice.container("hers", mounts=DATA)


async def test_volume_that_nobody_made_here_is_not_a_tenants(strict, alice):
    mount = Mount(target="/data", volume=VolumeMount(name="data"))
    await strict.driver.create_container(ContainerSpec(image=IMAGE, mounts=(mount,)))
    refused = await alice.refused("CreateContainer", spec={"image": IMAGE, "mounts": DATA})
    assert rules(refused) == {"volume of another"}


async def test_volume_of_a_team_is_its_members(strict):
    teams = TeamStore(strict.users._database)
    red = await teams.add("red")
    tim, tom = [await tenant(strict, name, Access.TEAM, red) for name in ("tim", "tom")]
    await tim.container("one", mounts=DATA)
    await tom.container("two", mounts=DATA)
    other = await tenant(strict, "other")
    refused = await other.refused("CreateContainer", spec={"image": IMAGE, "mounts": DATA})
    assert rules(refused) == {"volume of another"}


async def test_own_container_starts_with_its_volumes(alice):
    mounts = [*DATA, {"target": "/nameless", "volume": {}}]
    made = await alice.container("hers", mounts=mounts, start=False)
    await alice.call("StartResource", id=made.id)
    await alice.call("RestartResource", id=made.id)
    await alice.call("RecreateContainer", id=made.id)


async def _attempt(call):
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        if "policy of this host" not in (error.details() or ""):
            raise
        return None


async def test_two_tenants_that_race_for_a_volume_never_share_it(alice, bella):
    for round_ in range(20):
        mounts = [{"target": "/d", "volume": {"name": f"raced-{round_}"}}]
        spec = {"image": IMAGE, "mounts": mounts}
        made = await asyncio.gather(
            *(_attempt(each.call("CreateContainer", spec=spec)) for each in (alice, bella))
        )
        assert None in made


async def test_two_creates_that_race_for_a_folder_never_both_mount_it(serve, tmp_path):
    inner = tmp_path / "data" / "inner"
    inner.mkdir(parents=True, mode=0o755)
    roots = {"bind_roots": [str(tmp_path)]}
    daemon = await serve(policy={**roots, "profiles": {"default": roots}})
    for _ in range(10):
        calls = [
            daemon.call(
                "CreateContainer",
                spec={"image": IMAGE, "mounts": [{"target": "/m", "bind": {"source": str(path)}}]},
            )
            for path in (inner, inner.parent)
        ]
        made = await asyncio.gather(*map(_attempt, calls))
        assert None in made
        for each in made:
            if each is not None:
                await daemon.call("DeleteResource", id=each.resource.id)
    await daemon.container(mounts=[{"target": "/m", "bind": {"source": str(inner)}}])


@pytest.mark.parametrize("name", ["hers", "not-there"])
async def test_network_of_another_tenants_container_is_denied_as_of_none(alice, bella, name):
    made = await alice.container("hers")
    for ref in (name, made.id if name == "hers" else "0" * 64):
        network = [{"network": f"container:{ref}"}]
        refused = await bella.refused("CreateContainer", spec={"image": IMAGE, "networks": network})
        assert rules(refused) == {"joined namespace"}
        assert refused.message.replace(ref, "REF") == (
            "the policy of this host denies this to the profile 'default': "
            "spec.networks[0].network: it would join a namespace that is not the caller's: "
            "'container:REF' (setting allow_joined_namespaces)"
        )
    await alice.container("beside", networks=[{"network": "container:hers"}])


async def test_network_of_the_teams_container_is_not_joined_with_access_own(strict):
    red = await TeamStore(strict.users._database).add("red")
    tim, olga = [
        await tenant(strict, name, access, red)
        for name, access in (("tim", Access.TEAM), ("olga", Access.OWN))
    ]
    await tim.container("shared")
    network = [{"network": "container:shared"}]
    refused = await olga.refused("CreateContainer", spec={"image": IMAGE, "networks": network})
    assert rules(refused) == {"joined namespace"}
    await tim.container("beside", networks=network)


async def _use(daemon, profile):
    user = await daemon.users.set_profile("ann", profile)
    daemon.versions["ann"] = user.token_version


async def test_network_that_another_profile_allowed_is_not_joined(serve):
    """A container made under a wider profile lends its network to no narrower one."""
    wide = {"allowed_host_namespaces": ["network"]}
    daemon = await serve(policy={**wide, "profiles": {"default": {}, "wide": wide}})
    await _use(daemon, "wide")
    made = await daemon.container("on-host", networks=[{"network": "host"}])
    await _use(daemon, "default")
    network = [{"network": f"container:{made.id}"}]
    refused = await refusal(
        daemon.call("CreateContainer", spec={"image": IMAGE, "networks": network})
    )
    assert rules(refused) == {"host namespace"}


@pytest.mark.parametrize("source", ["/" + "a/" * 200, "/srv/" + "b/" * 200, "/" + "./" * 200])
async def test_hundreds_of_bind_mounts_do_not_hold_up_the_loop(serve, monkeypatch, source):
    daemon = await serve(policy={"bind_roots": ["/srv", *(f"/data/{i}" for i in range(50))]})
    mallory = await tenant(daemon, "mallory", Access.ALL)
    mounts = [{"target": f"/m{i}", "bind": {"source": f"{source}{i}"}} for i in range(500)]
    spec = {"image": IMAGE, "mounts": mounts}
    taken = []
    for _ in range(5):  # a busy machine makes single tries slow
        with longest_callback(monkeypatch) as longest:
            refused = await mallory.refused("CreateContainer", spec=spec)
        taken.append(longest.seconds)
    assert refused.reason == "POLICY_DENIED"
    assert min(taken) < 0.020
