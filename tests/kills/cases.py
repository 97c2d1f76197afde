"""Every changing call, with what it needs and what it leaves."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from kills.daemons import Daemons
from kills.truth import Engines, Truth
from proa import v1

IMAGE = "proa-test/busybox:1"
MEMORY = 32 * 2**20
MIB = 2**20
SECRET = "canary-of-a-secret-4711"


@dataclass(frozen=True)
class Stage:
    """Where a case is tried: on these engines, with this prefix of all names."""

    daemons: Daemons
    engines: Engines
    prefix: str

    def call(self, service: str, method: str, request: Any) -> Any:
        """Make a call without a request id."""
        return self.daemons.call(service, method, request)

    def verb(self, name: str, **fields: Any) -> None:
        """Make a verb on the resource of the case."""
        request = getattr(v1, f"{name}ResourceRequest")(id=self.prefix, **fields)
        self.call("Resource", f"{name}Resource", request)


Prepare = Callable[[Stage], None]


@dataclass(frozen=True)
class Case:
    """A changing call.

    Attributes:
        name: of the case.
        service: of the method.
        method: of the contract.
        request: makes the request.
        prepare: makes what the call needs.
        facts: what of the engines' truth the call changes: a word, and the word after the call.
        made: lines that the call adds.
        gone: whether the call removes all that `prepare` made.
        first: how the lines begin that the call removes first, of several.
        calls: how many calls to an engine it makes, at the least.
    """

    name: str
    service: str
    method: str
    request: Callable[[Stage], Any]
    prepare: Prepare
    facts: Mapping[str, str] = field(default_factory=dict)
    made: tuple[str, ...] = ()
    gone: bool = False
    first: str = ""
    calls: int = 1

    def after(self, before: Truth, prefix: str) -> Truth:
        """Return the truth after the call."""
        if self.gone:
            return Truth()
        text = "\n".join(before.elements())
        for old, new in self.facts.items():
            text = text.replace(old, new)
        return Truth([*text.splitlines(), *(line.format(prefix) for line in self.made)])

    def between(self, before: Truth) -> Truth:
        """Return the truth in the middle of a call that removes several things."""
        first = self.first or "nothing begins so"
        return Truth(line for line in before.elements() if not line.startswith(first))


def nothing(_stage: Stage) -> None:
    """Prepare nothing."""


def container(*, start: bool, paused: bool = False, **fields: Any) -> Prepare:
    """Return what makes the container of a case."""

    def prepare(stage: Stage) -> None:
        spec = v1.ContainerSpec(image=IMAGE, name=stage.prefix, command=["sleep", "1000"], **fields)
        spec.labels["kills"] = stage.prefix
        request = v1.CreateContainerRequest(spec=spec, start=start)
        stage.call("Container", "CreateContainer", request)
        if paused:
            stage.verb("Pause")

    return prepare


def domain(*, start: bool, paused: bool = False, snapshot: bool = False) -> Prepare:
    """Return what makes the domain of a case."""

    def prepare(stage: Stage) -> None:
        request = v1.CreateDomainRequest(spec=_domain(stage), start=start)
        stage.call("Domain", "CreateDomain", request)
        if snapshot:
            taken = v1.CreateSnapshotRequest(id=stage.prefix, name="one")
            stage.call("Snapshot", "CreateSnapshot", taken)
        if paused:
            stage.verb("Pause")

    return prepare


def _domain(stage: Stage, disks: int = 1) -> v1.DomainSpec:
    disk = v1.DiskSpec(new_volume=v1.NewDisk(capacity_bytes=MIB))
    return v1.DomainSpec(
        name=stage.prefix, memory_bytes=MEMORY, disks=[disk] * disks, networkless=True
    )


def _volume(stage: Stage) -> None:
    spec = v1.VolumeSpec(name=stage.prefix, capacity_bytes=MIB)
    stage.call("Volume", "CreateVolume", v1.CreateVolumeRequest(spec=spec))


def _tag(stage: Stage) -> None:
    stage.engines.docker.tag(IMAGE, stage.prefix, tag="1")


def _container_request(stage: Stage, *, start: bool) -> v1.CreateContainerRequest:
    mount = v1.Mount(target="/data", volume=v1.VolumeMount(name=stage.prefix))
    spec = v1.ContainerSpec(
        image=IMAGE, name=stage.prefix, command=["sleep", "1000"], mounts=[mount]
    )
    return v1.CreateContainerRequest(spec=spec, start=start)


def _container_with_secret(stage: Stage) -> v1.CreateContainerRequest:
    request = _container_request(stage, start=True)
    request.spec.env_secret["PASSWORD"].value = SECRET
    return request


def _from_xml(stage: Stage) -> v1.CreateDomainFromXmlRequest:
    xml = (
        f"<domain type='qemu'><name>{stage.prefix}</name><memory unit='MiB'>32</memory>"
        "<os><type>hvm</type></os></domain>"
    )
    return v1.CreateDomainFromXmlRequest(xml=xml)


def _verb(
    verb: str,
    kind: str,
    prepare: Prepare,
    facts: Mapping[str, str],
    *,
    gone: bool = False,
    first: str = "",
    **fields: Any,
) -> Case:
    cls = getattr(v1, f"{verb}ResourceRequest")
    return Case(
        f"{verb.lower()}-{kind}",
        "Resource",
        f"{verb}Resource",
        lambda stage: cls(id=stage.prefix, **fields),
        prepare,
        facts=facts,
        gone=gone,
        first=first,
    )


def _update_container(stage: Stage) -> v1.UpdateResourceRequest:
    limits = v1.ContainerResources(memory_bytes=64 * MIB, memory_swap_bytes=128 * MIB)
    return v1.UpdateResourceRequest(
        id=stage.prefix,
        container=v1.ContainerSpec(resources=limits),
        update_mask=FieldMask(paths=["resources.memory_bytes", "resources.memory_swap_bytes"]),
    )


def _recreate(stage: Stage) -> v1.RecreateContainerRequest:
    return v1.RecreateContainerRequest(
        id=stage.prefix,
        spec=v1.ContainerSpec(resources=v1.ContainerResources(memory_bytes=64 * MIB)),
        update_mask=FieldMask(paths=["resources.memory_bytes"]),
    )


def _update_domain(stage: Stage) -> v1.UpdateResourceRequest:
    return v1.UpdateResourceRequest(
        id=stage.prefix,
        domain=v1.DomainSpec(title="changed"),
        update_mask=FieldMask(paths=["title"]),
    )


_FORCE: dict[str, Any] = {"mode": v1.STOP_MODE_FORCE}
_RESET: dict[str, Any] = {"mode": v1.RESTART_MODE_FORCE}
_NET = " memory=0 restart=no networks=['bridge']"
_ALWAYS = v1.RestartPolicy(mode=v1.RESTART_POLICY_MODE_ALWAYS)
_DOMAIN = "domain {} %s '' autostart=0 saved=0 snapshots=[]"

_CREATED = ("container {} running" + _NET, "docker volume {}")

WITH_SECRET = Case(
    "create-container-with-secret",
    "Container",
    "CreateContainer",
    _container_with_secret,
    nothing,
    made=_CREATED,
    calls=3,
)

CASES = (
    Case(
        "create-container",
        "Container",
        "CreateContainer",
        lambda stage: _container_request(stage, start=True),
        nothing,
        made=_CREATED,
        calls=3,
    ),
    Case(
        "create-container-stopped",
        "Container",
        "CreateContainer",
        lambda stage: _container_request(stage, start=False),
        nothing,
        made=("container {} created" + _NET, "docker volume {}"),
        calls=2,
    ),
    _verb("Start", "container", container(start=False), {" created ": " running "}),
    _verb("Stop", "container", container(start=True), {" running ": " exited "}, **_FORCE),
    _verb("Restart", "container", container(start=True), {}, **_RESET),
    _verb("Pause", "container", container(start=True), {" running ": " paused "}),
    _verb("Resume", "container", container(start=True, paused=True), {" paused ": " running "}),
    _verb("Delete", "container", container(start=False), {}, gone=True),
    Case(
        "update-container",
        "Resource",
        "UpdateResource",
        _update_container,
        container(start=False),
        facts={"memory=0": f"memory={64 * MIB}"},
    ),
    Case(
        "recreate-container",
        "Container",
        "RecreateContainer",
        _recreate,
        container(start=True, restart_policy=_ALWAYS, stop_signal="SIGKILL"),
        facts={"memory=0": f"memory={64 * MIB}"},
        calls=7,
    ),
    Case(
        "recreate-container-stopped",
        "Container",
        "RecreateContainer",
        _recreate,
        container(start=False),
        facts={"memory=0": f"memory={64 * MIB}"},
        calls=4,
    ),
    Case(
        "prune-containers",
        "Container",
        "PruneContainers",
        lambda stage: v1.PruneContainersRequest(labels={"kills": stage.prefix}),
        container(start=False),
        gone=True,
    ),
    Case(
        "delete-image",
        "Image",
        "DeleteImage",
        lambda stage: v1.DeleteImageRequest(image=f"{stage.prefix}:1"),
        _tag,
        gone=True,
    ),
    # It makes no call to the engine.
    Case(
        "logout-registry",
        "Image",
        "LogoutRegistry",
        lambda _stage: v1.LogoutRegistryRequest(registry="registry.invalid"),
        nothing,
    ),
    Case(
        "create-domain",
        "Domain",
        "CreateDomain",
        lambda stage: v1.CreateDomainRequest(spec=_domain(stage, 2), start=True),
        nothing,
        made=(_DOMAIN % "running", "file {}-vda-#.qcow2", "file {}-vdb-#.qcow2"),
        calls=4,
    ),
    Case(
        "create-domain-from-xml",
        "Domain",
        "CreateDomainFromXml",
        _from_xml,
        nothing,
        made=(_DOMAIN % "stopped",),
    ),
    _verb("Start", "domain", domain(start=False), {" stopped ": " running "}),
    _verb("Stop", "domain", domain(start=True), {" running ": " stopped "}, **_FORCE),
    _verb("Restart", "domain", domain(start=True), {}, **_RESET),
    _verb("Pause", "domain", domain(start=True), {" running ": " paused "}),
    _verb("Resume", "domain", domain(start=True, paused=True), {" paused ": " running "}),
    _verb("Delete", "domain", domain(start=False), {}, gone=True, first="file"),
    Case(
        "update-domain",
        "Resource",
        "UpdateResource",
        _update_domain,
        domain(start=False),
        facts={" '' ": " 'changed' "},
    ),
    Case(
        "create-snapshot",
        "Snapshot",
        "CreateSnapshot",
        lambda stage: v1.CreateSnapshotRequest(id=stage.prefix, name="one"),
        domain(start=False),
        facts={"snapshots=[]": "snapshots=['one']"},
    ),
    Case(
        "revert-snapshot",
        "Snapshot",
        "RevertSnapshot",
        lambda stage: v1.RevertSnapshotRequest(id=stage.prefix, name="one"),
        domain(start=False, snapshot=True),
    ),
    Case(
        "delete-snapshot",
        "Snapshot",
        "DeleteSnapshot",
        lambda stage: v1.DeleteSnapshotRequest(id=stage.prefix, name="one"),
        domain(start=False, snapshot=True),
        facts={"snapshots=['one']": "snapshots=[]"},
    ),
    Case(
        "create-volume",
        "Volume",
        "CreateVolume",
        lambda stage: v1.CreateVolumeRequest(
            spec=v1.VolumeSpec(name=stage.prefix, capacity_bytes=MIB)
        ),
        nothing,
        made=("file {}",),
    ),
    Case(
        "delete-volume",
        "Volume",
        "DeleteVolume",
        lambda stage: v1.DeleteVolumeRequest(name=stage.prefix),
        _volume,
        gone=True,
    ),
    WITH_SECRET,
)
