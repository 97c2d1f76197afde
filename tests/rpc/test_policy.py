"""What the host's policy denies to whom, and that no engine hears of a denied request."""

from contextlib import suppress
from dataclasses import replace

import pytest

from eventually import eventually
from proad import ports
from proad.core.gate import PolicyGate
from proad.drivers.memory.behaviour import IGNORES_STOP
from proad.model import ContainerResources, ContainerSpec, DomainSpec, ResourceKind, SnapshotSpec
from proad.rpc.methods import methods
from rpc.daemon import BOTH, IMAGE, MEMORY_BYTES, RPCS, changing, refusal
from rpc.engines import engine
from rpc.policed import JUDGED, OUTER, READS, TIGHT, UNJUDGED, UNTIL_ANNOUNCED
from rpc.test_validate_only import EFFECTIVE


async def denied(engines, call, also=frozenset()):
    """Return the refusal of a call that the policy denies, and that no engine acted on.

    `also` are methods of drivers that may be asked beside those that read.
    """
    for each in engines:
        each.asked.clear()
    refused = await refusal(call)
    assert (refused.code, refused.reason) == ("PERMISSION_DENIED", "POLICY_DENIED")
    for each in engines:
        assert set(each.asked) <= READS | also
    return refused


async def made(engines):
    """Return the names and states of all that is there."""
    boxes, machines = (each.behind for each in engines)
    resources = [*await boxes.list_resources(), *await machines.list_resources()]
    volumes = await machines.list_volumes()
    vm = next(each.id for each in resources if each.name == "vm")
    return (
        sorted((each.name, each.id, each.state) for each in resources),
        sorted(volume.name for volume in volumes),
        [snapshot.name for snapshot in await machines.list_snapshots(vm)],
    )


@pytest.fixture
def boxes():
    offers = (
        *(ports.Commands, ports.Consoles, ports.Files, ports.PortForwarding),
        *(ports.Containers, ports.Images, ports.Recreation, ports.Updates),
    )
    return engine("boxes", ResourceKind.CONTAINER, offers=offers)


@pytest.fixture
def engines(boxes, machines):
    return boxes, machines


@pytest.fixture
def policed(serve, engines, quick):
    """Start a daemon on the two engines with a policy; without one, it is the default."""

    async def start(**policy):
        return await serve(*(("local", each) for each in engines), timing=quick, policy=policy)

    return start


@pytest.fixture
async def foreign(engines):
    """Containers "web" and "paused" and a domain "vm" that run, and "old", made outside Proa."""
    boxes, machines = engines
    # As the default profile would have made them.
    plain = ContainerSpec(
        image=IMAGE, resources=ContainerResources(pids_limit=100), allow_new_privileges=False
    )
    spec = replace(plain, name="web", labels={IGNORES_STOP: "true"})
    await boxes.behind.create_container(spec, start=True)
    await boxes.behind.create_container(replace(plain, name="old"), start=False)
    domain = await machines.behind.create_domain(
        DomainSpec(name="vm", memory_bytes=MEMORY_BYTES), start=True
    )
    await machines.behind.create_snapshot(domain.id, SnapshotSpec(name="first"))
    paused = await boxes.behind.create_container(replace(plain, name="paused"), start=True)
    await boxes.behind.pause(paused.resource.id)


LIFECYCLE = {
    "StopResource": {"id": "web", "mode": "STOP_MODE_FORCE"},
    "PauseResource": {"id": "web"},
    "DeleteResource": {"id": "old"},
}
BEYOND = {
    "StartResource": {"id": "old"},
    "RestartResource": {"id": "web", "mode": "RESTART_MODE_FORCE"},
    "RecreateContainer": {"id": "web"},
    "UpdateResource": {"id": "web", **changing("container", name="other")},
    "CreateSnapshot": {"id": "vm", "name": "new"},
}


@pytest.mark.parametrize("name", [*LIFECYCLE, *BEYOND])
async def test_foreign_resource_under_view_can_only_be_read(policed, engines, foreign, name):
    daemon = await policed(foreign="view")

    refused = await denied(engines, daemon.call(name, **(LIFECYCLE | BEYOND)[name]))

    assert refused.metadata["rule"] == "made outside Proa"
    assert refused.metadata["setting"] == "foreign"
    assert (await daemon.call("GetResource", id="web", view="RESOURCE_VIEW_FULL")).resource.id


@pytest.mark.parametrize("name", BEYOND)
async def test_foreign_resource_by_default_cannot_be_started(policed, engines, foreign, name):
    daemon = await policed()

    refused = await denied(engines, daemon.call(name, **BEYOND[name]))

    assert refused.metadata["setting"] == "foreign"
    assert refused.metadata["profile"] == "default"


@pytest.mark.parametrize("name", LIFECYCLE)
async def test_foreign_resource_by_default_can_be_stopped(policed, foreign, name):
    daemon = await policed()

    await daemon.call(name, **LIFECYCLE[name])


async def test_foreign_resource_by_default_can_be_resumed_and_its_snapshot_deleted(
    policed, foreign
):
    daemon = await policed()
    await daemon.call("PauseResource", id="vm")
    await daemon.call("ResumeResource", id="vm")
    (snapshot,) = (await daemon.call("ListSnapshots", id="vm")).snapshots

    await daemon.call("DeleteSnapshot", id="vm", name=snapshot.name)


@pytest.mark.parametrize("name", BEYOND)
async def test_foreign_resource_under_full_is_as_any_other(policed, foreign, name):
    daemon = await policed(foreign="full", profiles={"default": {"foreign": "full"}})

    await daemon.call(name, **BEYOND[name])


async def test_prune_under_view_leaves_foreign_containers(policed, engines, foreign):
    daemon = await policed(foreign="view")

    planned = (await daemon.call("PruneContainers", validate_only=True)).plan
    pruned = await daemon.call("PruneContainers")

    assert (list(planned.removals), planned.removal_count) == ([], 0)
    assert list(pruned.container_ids) == []
    assert set(engines[0].asked) <= READS


async def test_force_restart_that_is_denied_preempts_nothing(policed, engines, foreign):
    daemon = await policed()
    stop = daemon.call("StopResource", id="web", mode="STOP_MODE_GRACEFUL")
    await daemon.under_way("web")

    await denied(engines, daemon.call("RestartResource", id="web", mode="RESTART_MODE_FORCE"))

    assert not stop.done()
    await daemon.call("StopResource", id="web", mode="STOP_MODE_FORCE")
    with suppress(Exception):
        await stop


@pytest.fixture
async def tight(policed):
    """A daemon with the container `outer` of ann's and a user tim with the profile `tight`."""
    daemon = await policed(profiles={"tight": TIGHT | {"foreign": "lifecycle"}})
    await daemon.call("CreateContainer", spec=OUTER, start=True)
    tim = await daemon.users.add("tim", "x", BOTH, profile="tight")
    daemon.versions["tim"] = tim.token_version
    return daemon


def as_tim(daemon, name, /, **fields):
    rpc = RPCS[name]
    return daemon.send(rpc, rpc.request(**fields), token=daemon.token(*BOTH, username="tim"))


async def test_create_of_what_the_profile_denies_names_field_rule_and_setting(tight, engines):
    refused = await denied(engines, as_tim(tight, "CreateContainer", spec=OUTER))

    assert refused.metadata == {
        "rule": "network not listed",
        "setting": "allowed_container_networks",
        "settings": "allowed_container_networks",
        "profile": "tight",
    }
    (violation,) = refused.details["PreconditionFailure"].violations
    assert (violation.type, violation.subject) == ("network not listed", "spec.networks[0].network")
    assert "setting allowed_container_networks" in violation.description
    assert "'net'" in refused.message


LENT = {
    "StartResource": {"id": "outer"},
    "RestartResource": {"id": "outer", "mode": "RESTART_MODE_FORCE"},
    "RecreateContainer": {"id": "outer"},
}


@pytest.mark.parametrize("name", LENT)
async def test_verb_that_lends_what_the_profile_denies_is_denied(tight, engines, name):
    if name == "StartResource":
        await tight.call("StopResource", id="outer")
    before = await tight.call("GetResource", id="outer")

    refused = await denied(engines, as_tim(tight, name, **LENT[name]))

    assert refused.metadata["rule"] == "network not listed"
    assert refused.metadata["path"] == before.resource.path
    assert (await tight.call("GetResource", id="outer")).resource.state == before.resource.state
    await tight.call(name, **LENT[name])  # whose profile allows it


@pytest.mark.parametrize(
    ("name", "request_"),
    [
        ("PauseResource", {"id": "outer"}),
        ("StopResource", {"id": "outer", "mode": "STOP_MODE_FORCE"}),
        ("DeleteResource", {"id": "outer", "force": True}),
        ("GetResource", {"id": "outer", "view": "RESOURCE_VIEW_FULL"}),
        ("UpdateResource", {"id": "outer", **changing("container", name="other")}),
    ],
)
async def test_verb_that_lends_nothing_is_allowed(tight, name, request_):
    await as_tim(tight, name, **request_)


async def test_start_with_a_fresh_full_view_asks_the_engine_for_none(tight, boxes):
    async def starts_without_a_read():
        await tight.call("StopResource", id="outer")
        await tight.call("GetResource", id="outer", view="RESOURCE_VIEW_FULL")
        boxes.asked.clear()
        await tight.call("StartResource", id="outer")
        assert "start" in boxes.asked
        return "get_resource" not in boxes.asked

    await eventually(starts_without_a_read)  # the event of a stop may be followed up meanwhile


async def test_recreate_into_what_the_profile_denies_is_denied(tight, engines):
    await as_tim(tight, "CreateContainer", spec={"image": IMAGE, "name": "mine"})
    change = {"spec": OUTER, "update_mask": {"paths": ["networks"]}}

    refused = await denied(engines, as_tim(tight, "RecreateContainer", id="mine", **change))

    assert (
        refused.details["PreconditionFailure"].violations[0].subject == "spec.networks[0].network"
    )


async def test_domain_and_volume_in_a_pool_that_is_denied_are_denied(tight, engines):
    new = {"new_volume": {"capacity_bytes": 2**20, "pool": "b"}}
    spec = {"name": "vm", "memory_bytes": MEMORY_BYTES, "disks": [new]}
    of_domain = await denied(engines, as_tim(tight, "CreateDomain", spec=spec))
    volume = {"name": "v", "capacity_bytes": 2**20, "pool": "b"}
    of_volume = await denied(engines, as_tim(tight, "CreateVolume", spec=volume))

    for refused, field in (
        (of_domain, "spec.disks[0].new_volume.pool"),
        (of_volume, "spec.pool"),
    ):
        assert refused.metadata["setting"] == "allowed_pools"
        assert refused.details["PreconditionFailure"].violations[0].subject == field
    assert (await as_tim(tight, "CreateVolume", spec={**volume, "pool": ""})).volume.name == "v"


async def test_update_is_judged_on_the_fields_that_change_alone(tight, engines):
    new = {**changing("container", name="other"), "id": "outer"}
    await as_tim(tight, "UpdateResource", **new)
    networks = {"id": "other", "container": OUTER, "update_mask": {"paths": ["networks"]}}

    refused = await denied(engines, as_tim(tight, "UpdateResource", **networks))

    violations = refused.details["PreconditionFailure"].violations
    assert [each.subject for each in violations] == ["container.networks[0].network"]


LOGIN = {"LoginRegistry": {"registry": "reg.example", "username": "u", "password": "p"}}


def test_every_method_that_changes_something_is_known_to_the_policy():
    changing_methods = {m.path.rpartition("/")[2] for m in methods().values() if m.changes}

    assert not JUDGED.keys() & UNJUDGED.keys()
    assert changing_methods == JUDGED.keys() | UNJUDGED.keys(), (
        "say in rpc/policed.py how the policy judges this method, or why it need not"
    )


@pytest.mark.parametrize("name", JUDGED)
@pytest.mark.parametrize("checked", [False, True], ids=["done", "checked"])
async def test_method_is_judged_where_the_table_says(
    policed, engines, foreign, monkeypatch, name, checked
):
    judged, asked = JUDGED[name], []
    by = judged.by.__name__

    def note(self, *args, **kwargs):
        asked.append(by)
        return judged.by(self, *args, **kwargs)

    monkeypatch.setattr(PolicyGate, by, note)
    daemon = await policed(profiles={"default": TIGHT})
    can_check = "validate_only" in RPCS[name].request.DESCRIPTOR.fields_by_name
    only_checked = {"validate_only": True} if checked and can_check else {}
    call = daemon.call(name, **judged.request, **only_checked)

    before = await made(engines)

    also = UNTIL_ANNOUNCED if checked else frozenset()
    await denied(engines, call.read() if RPCS[name].streams else call, also)

    assert asked == [by]
    assert await made(engines) == before


@pytest.mark.parametrize("name", sorted(EFFECTIVE | LOGIN))
async def test_user_whose_profile_is_gone_changes_nothing(tight, engines, name):
    tim = await tight.users.set_profile("tim", "gone")
    tight.versions["tim"] = tim.token_version

    async def call():
        found = as_tim(tight, name, **(EFFECTIVE | LOGIN)[name])
        return [each async for each in found] if RPCS[name].streams else await found

    refused = await denied(engines, call())

    assert refused.metadata["rule"] == "profile not configured"
    assert "proad user set-profile" in refused.message
    assert (await as_tim(tight, "ListResources")).resources


async def test_validate_only_tells_of_all_that_is_wrong(tight, engines):
    await as_tim(tight, "CreateContainer", spec={"image": IMAGE, "name": "mine"})
    networks = [{"network": "net"}, {"network": "other"}]
    spec = {**OUTER, "name": "mine", "networks": networks}

    call = as_tim(tight, "CreateContainer", spec=spec, validate_only=True)
    refused = await denied(engines, call, UNTIL_ANNOUNCED)

    told = [(each.type, each.subject) for each in refused.details["PreconditionFailure"].violations]
    assert told == [
        ("network not listed", "spec.networks[0].network"),
        ("network not listed", "spec.networks[1].network"),
        ("ALREADY_EXISTS", ""),
    ]
    assert refused.metadata["rule"] == "network not listed"
    assert "besides, a container 'mine' exists already" in refused.message


async def test_validate_only_of_a_verb_tells_of_state_etag_and_policy(tight, engines):
    request = {"id": "outer", "validate_only": True, "etag": "other"}

    refused = await refusal(as_tim(tight, "RecreateContainer", **request))

    told = {each.type for each in refused.details["PreconditionFailure"].violations}
    assert told == {"ETAG_MISMATCH", "network not listed"}
    assert refused.reason == "ETAG_MISMATCH"
    real = await refusal(as_tim(tight, "RecreateContainer", id="outer", etag="other"))
    assert (real.code, real.metadata) == (refused.code, refused.metadata)
