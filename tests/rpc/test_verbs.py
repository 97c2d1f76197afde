"""All verbs in all states, and their answers."""

from typing import Any

import pytest

from proa import v1
from proad.drivers.memory import MemoryDriver
from proad.model import LEGAL, ResourceState, Verb
from rpc.daemon import IMAGE, changing, refusal

S = ResourceState
CALLS: dict[Verb, tuple[str, dict[str, Any]]] = {
    Verb.START: ("StartResource", {}),
    Verb.STOP: ("StopResource", {"mode": "STOP_MODE_FORCE"}),
    Verb.RESTART: ("RestartResource", {"mode": "RESTART_MODE_FORCE"}),
    Verb.PAUSE: ("PauseResource", {}),
    Verb.RESUME: ("ResumeResource", {}),
    Verb.DELETE: ("DeleteResource", {"delete_saved_state": True}),
    Verb.UPDATE: ("UpdateResource", changing("domain", autostart=True)),
    Verb.CREATE_SNAPSHOT: ("CreateSnapshot", {"name": "s2"}),
    Verb.REVERT_SNAPSHOT: ("RevertSnapshot", {"name": "s1"}),
    Verb.DELETE_SNAPSHOT: ("DeleteSnapshot", {"name": "s1"}),
}
METHODS = {verb.lower() for verb in Verb}
STARTS_AS = "proa.memory/starts-as"


class Recording(MemoryDriver):
    """Records the verbs that reach the driver."""

    def __init__(self):
        super().__init__()
        self.reached = []

    def __getattribute__(self, name):
        if name in METHODS:
            self.reached.append(name)
        return super().__getattribute__(name)


@pytest.fixture
async def recorded(serve):
    return await serve(("local", Recording()))


async def bring(daemon, state):
    """Make a domain in `state`; a snapshot is there to be reverted to."""
    label = (
        {STARTS_AS: state}
        if state in {S.STARTING, S.SUSPENDED, S.STOPPING, S.FAILED, S.OTHER}
        else {}
    )
    await daemon.domain("vm", start=False, labels=label)
    if state is not S.REMOVING:
        await daemon.call("CreateSnapshot", id="vm", name="s1")
    if state is not S.STOPPED:
        await daemon.call("StartResource", id="vm")
    if state is S.PAUSED:
        await daemon.call("PauseResource", id="vm")
    elif state is S.SAVED:
        await daemon.call("StopResource", id="vm", mode="STOP_MODE_SAVE")
    assert await daemon.state("vm") == state


def test_calls_covers_every_verb():
    assert CALLS.keys() == set(Verb) - {Verb.RECREATE}  # of containers: test_recreate.py


@pytest.mark.parametrize("state", [state for state in S if state is not S.REMOVING])
async def test_verb_illegal_in_state_does_not_reach_the_driver(recorded, state):
    """REMOVING has no verb at all; no driver but Docker's can show it."""
    await bring(recorded, state)
    allowed = (await recorded.call("GetResource", id="vm")).resource.allowed_verbs

    for verb, (call, request) in CALLS.items():
        if state in LEGAL[verb]:
            assert v1.Verb.Value(f"VERB_{verb}") in allowed
            continue
        assert v1.Verb.Value(f"VERB_{verb}") not in allowed
        recorded.driver.reached.clear()
        refused = await refusal(recorded.call(call, id="vm", **request))

        assert refused.code == "FAILED_PRECONDITION"
        assert (refused.metadata["state"], refused.metadata["verb"]) == (state, verb)
        names = refused.metadata["allowed_verbs"].split(",")
        assert [v1.Verb.Value(f"VERB_{verb}") for verb in names] == list(allowed)
        assert recorded.driver.reached == []
        assert await recorded.state("vm") == state


@pytest.mark.parametrize(
    ("state", "verb"),
    [(state, verb) for verb in CALLS for state in S if state in LEGAL[verb]],
    ids=str,
)
async def test_verb_legal_in_state_is_done(recorded, state, verb):
    await bring(recorded, state)
    call, request = CALLS[verb]
    if verb is Verb.DELETE:
        request = {**request, "delete_snapshots": True}
    recorded.driver.reached.clear()

    answer = await recorded.call(call, id="vm", **request)

    assert recorded.driver.reached == [verb.lower()]
    if verb is Verb.DELETE:
        assert await recorded.names() == []
    elif verb not in {Verb.CREATE_SNAPSHOT, Verb.DELETE_SNAPSHOT}:
        view = "FULL" if verb in {Verb.UPDATE, Verb.REVERT_SNAPSHOT} else "SUMMARY"
        shown = (await recorded.call("GetResource", id="vm", view=f"RESOURCE_VIEW_{view}")).resource
        shown.ClearField("guest_info")  # of GetResource alone
        assert answer.resource == shown


@pytest.mark.parametrize("call", ["CreateSnapshot", "ListSnapshots", "GetDomainXml"])
async def test_verb_that_containers_lack_is_refused(recorded, call):
    await recorded.container("web")
    request = {"name": "s"} if call == "CreateSnapshot" else {}

    refused = await refusal(recorded.call(call, id="web", **request))

    assert (refused.code, refused.reason) == ("UNIMPLEMENTED", "CAPABILITY_MISSING")


async def test_delete_force_deletes_an_active_resource(daemon):
    await daemon.container("web")

    deleted = (await daemon.call("DeleteResource", id="web", force=True)).resource

    assert deleted.name == "web"
    assert await daemon.names() == []


async def test_delete_allow_missing_of_a_missing_resource_succeeds(daemon):
    answer = await daemon.call("DeleteResource", id="web", allow_missing=True)

    assert not answer.HasField("resource")
    assert (await refusal(daemon.call("DeleteResource", id="web"))).reason == "RESOURCE_NOT_FOUND"


async def test_delete_allow_missing_forgives_nothing_else(daemon):
    await daemon.container("web")
    await daemon.domain("web")

    for id, reason in (
        ("web", "AMBIGUOUS_ID"),
        ("domain/web", "RESOURCE_RUNNING"),
        ("", "INVALID_ARGUMENT"),
    ):
        refused = await refusal(daemon.call("DeleteResource", id=id, allow_missing=True))
        assert refused.reason == reason


async def test_stop_transient_resource_returns_its_last_state(daemon):
    await daemon.container("web", lifetime="LIFETIME_TRANSIENT")

    stopped = (await daemon.call("StopResource", id="web")).resource

    assert (stopped.name, stopped.state) == ("web", v1.RESOURCE_STATE_STOPPED)
    assert await daemon.names() == []


async def test_snapshot_created_reverted_and_deleted(daemon):
    vm = await daemon.domain("vm")
    await daemon.call("CreateSnapshot", id="vm", name="s1", description="the first")
    await daemon.call("CreateSnapshot", id="vm", name="s2")
    await daemon.call("StopResource", id="vm")

    got = (await daemon.call("GetSnapshot", id="vm", name="s2")).snapshot
    assert (got.resource_id, got.parent, got.has_memory, got.current) == (vm.id, "s1", True, True)
    reverted = await daemon.call("RevertSnapshot", id="vm", name="s1", state="REVERT_STATE_PAUSED")
    assert reverted.resource.state == v1.RESOURCE_STATE_PAUSED
    await daemon.call("StopResource", id="vm", mode="STOP_MODE_FORCE")
    started = await daemon.call("StartResource", id="vm", from_snapshot="s1")
    assert started.resource.state == v1.RESOURCE_STATE_RUNNING
    await daemon.call("DeleteSnapshot", id="vm", name="s1", delete_children=True)
    assert not (await daemon.call("ListSnapshots", id="vm")).snapshots


async def test_start_discard_saved_state_boots_anew(daemon):
    await daemon.domain("vm")
    await daemon.call("StopResource", id="vm", mode="STOP_MODE_SAVE")

    await daemon.call("StartResource", id="vm", discard_saved_state=True)

    assert not (await daemon.call("GetResource", id="vm")).resource.domain.has_saved_state


async def test_update_changes_the_named_fields_alone(daemon):
    await daemon.domain("vm", start=False, labels={"a": "1"})

    updated = await daemon.call(
        "UpdateResource",
        id="vm",
        **changing("domain", name="vm2", labels={"b": "2"}, vcpus=4, title=""),
    )

    resource = updated.resource
    assert (resource.name, dict(resource.labels)) == ("vm2", {"b": "2"})
    assert resource.domain.vcpus == 4
    assert await daemon.names() == ["vm2"]


async def test_create_domain_from_its_own_xml_succeeds(daemon):
    await daemon.domain("vm", start=False)
    xml = (await daemon.call("GetDomainXml", id="vm", inactive=True)).xml
    await daemon.call("DeleteResource", id="vm")

    again = (await daemon.call("CreateDomainFromXml", xml=xml, start=True)).resource

    assert (again.name, again.state) == ("vm", v1.RESOURCE_STATE_RUNNING)


async def test_prune_deletes_stopped_containers(daemon):
    await daemon.container("web", labels={"a": "1"})
    idle = await daemon.container("idle", start=False, labels={"a": "1"})
    await daemon.container("kept", start=False)

    pruned = await daemon.call("PruneContainers", labels={"a": "1"})

    assert list(pruned.container_ids) == [idle.id]
    assert await daemon.names() == ["kept", "web"]


async def test_create_container_returns_what_was_requested(daemon):
    created = await daemon.container(
        "web",
        env={"A": "1"},
        command=["sleep", "600"],
        ports=[{"container_port": 80, "host_port": 8080, "protocol": "PORT_PROTOCOL_UDP"}],
        mounts=[{"target": "/t", "tmpfs": {"size_bytes": 2**20, "mode": 0o1777}}],
        resources={"memory_bytes": 2**24, "cpus": 1.5, "memory_swap_bytes": -1},
        ulimits=[{"name": "nofile", "soft": 10, "hard": -1}],
        restart_policy={"mode": "RESTART_POLICY_MODE_ON_FAILURE", "max_retries": 3},
        stop_timeout={"seconds": 7},
        labels={"x": "y"},
    )

    got = (await daemon.call("GetResource", id=created.id)).resource
    container = got.container
    got.ClearField("guest_info")
    assert got == created
    assert (container.image, container.env["A"]) == (IMAGE, "1")
    assert container.spec.ports[0] == v1.PublishedPort(
        container_port=80, host_port=8080, protocol=v1.PORT_PROTOCOL_UDP
    )
    assert container.mounts[0].tmpfs == v1.TmpfsMount(size_bytes=2**20, mode=0o1777)
    assert container.spec.resources.cpus == 1.5
    assert container.spec.resources.memory_swap_bytes == -1
    assert container.spec.restart_policy.max_retries == 3
    assert container.spec.stop_timeout.seconds == 7
    assert not got.state_detail.HasField("exit_code")
