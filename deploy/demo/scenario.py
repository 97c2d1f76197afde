"""The demo's scenario: the life cycle of a container and a virtual machine, side by side."""

import secrets
import threading
import time
from contextlib import suppress
from functools import partial

from google.protobuf.duration_pb2 import Duration

import proa
from kinds import CONTAINER, DOMAIN, GUEST_ISO, IMAGE
from proa import v1
from report import Failed, check, console, expect, say, show, state_name, step, wait_for

MIB = 2**20


class WatchRecorder:
    """Records the states that a watch of another user reports.

    Args:
        client: the other user's client; the watch ends with it.
        filter: the resources to watch.
        names: their names.

    Attributes:
        states: the reported states by name, in order, without repetitions.
    """

    def __init__(self, client: proa.Client, filter: v1.ResourceFilter, names: list[str]) -> None:
        self.states: dict[str, list[str]] = {name: [] for name in names}
        self._watch = client.watch(filter)
        self._synced = threading.Event()
        threading.Thread(target=self._record, daemon=True).start()
        check(self._synced.wait(20), "the watch should have begun")

    def _record(self) -> None:
        for event in self._watch:
            match event:
                case proa.Synced():
                    self._synced.set()
                case proa.Change(type=v1.CHANGE_TYPE_REMOVED, resource=resource):
                    self._append(resource.name, "REMOVED", event.actor)
                case proa.Change(resource=resource):
                    self._append(resource.name, state_name(resource), event.actor)

    def _append(self, name: str, state: str, actor: str) -> None:
        states = self.states[name]
        if states[-1:] != [state]:
            states.append(state)
            by = f", by {actor}" if actor else ""
            console.print(f"    watch: {name} {state}{by}", style="dim")

    def check_complete(self) -> None:
        """Wait for the removal of all resources, and check that no step is missing."""
        for name, states in self.states.items():
            wait_for(f"the removal of {name}", 60, partial(states.__contains__, "REMOVED"))
            check(
                {"PAUSED", "STOPPED"} <= set(states), f"the watch missed a step of {name}: {states}"
            )
            say(f"{name}: {' → '.join(states)}")


class Scenario:
    """The main use case.

    Args:
        client: a client with the scopes basic and advanced.
        viewer: a client with the scope basic alone.
        kinds: the kinds of workload to create.
    """

    def __init__(
        self, client: proa.Client, viewer: proa.Client, kinds: list[v1.ResourceKind.ValueType]
    ) -> None:
        self._client = client
        self._viewer = viewer
        self._run = secrets.token_hex(3)
        self._web = f"demo-web-{self._run}" if CONTAINER in kinds else ""
        self._desktop = f"demo-desktop-{self._run}" if DOMAIN in kinds else ""
        self._names = [name for name in (self._web, self._desktop) if name]
        # Everything that this run creates has this label, and only that is listed.
        self._labels = {"proa.demo": self._run}
        self._mine = v1.ResourceFilter(labels=self._labels, kinds=kinds)

    def run(self) -> None:
        """Run all steps, with the kinds that this host can run."""
        recorder = WatchRecorder(self._viewer, self._mine, self._names)
        if self._web:
            self._run_container()
        if self._desktop:
            self._boot_machine()
        self._list_all()
        self._show_details()
        self._pause_and_resume()
        if self._desktop:
            self._snapshot_and_revert()
        self._check_scopes()
        self._stop()
        self._delete()
        step("The events that a watcher received  (ResourceService/WatchResources)")
        recorder.check_complete()
        self._check_leftovers()

    def clean_up(self) -> None:
        """Remove what an aborted run has left."""
        for resource in self._client.list_resources(filter=self._mine):
            with suppress(proa.NotFound):
                self._client.resources.DeleteResource(
                    v1.DeleteResourceRequest(
                        id=resource.id, force=True, delete_snapshots=True, delete_saved_state=True
                    )
                )

    def _run_container(self) -> None:
        step("Run a container  (ContainerService/CreateContainer, like docker run)")
        container = v1.ContainerSpec(
            image=IMAGE,
            name=self._web,
            command=["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"],
            labels=self._labels,
            env={"GREETING": "hello"},
            resources=v1.ContainerResources(memory_bytes=64 * MIB, pids_limit=32),
        )
        created = self._client.containers.CreateContainer(
            v1.CreateContainerRequest(spec=container, start=True)
        ).resource
        expect(created, "RUNNING")

    def _boot_machine(self) -> None:
        step("Boot a virtual machine from an installation medium  (DomainService/CreateDomain)")
        machine = v1.DomainSpec(
            name=self._desktop,
            memory_bytes=192 * MIB,
            vcpus=1,
            cdroms=[v1.CdromSpec(path=str(GUEST_ISO.resolve()))],
            disks=[v1.DiskSpec(new_volume=v1.NewDisk(capacity_bytes=64 * MIB))],
            # The host may use the default network itself.
            networkless=True,
            graphics=v1.GraphicsSpec(type=v1.GRAPHICS_TYPE_VNC_LOOPBACK),
            labels=self._labels,
        )
        created = self._client.domains.CreateDomain(
            v1.CreateDomainRequest(spec=machine, start=True)
        ).resource
        expect(created, "RUNNING")

        def agent() -> bool:
            return self._get(self._desktop).domain.guest_agent_connected

        say(f"its guest agent reported after {wait_for('the guest agent', 240, agent):.1f} s")

    def _get(self, id: str) -> v1.Resource:
        return self._client.resources.GetResource(v1.GetResourceRequest(id=id)).resource

    def _list_all(self) -> None:
        step("All of it in one list  (ResourceService/ListResources)")
        listed = list(self._client.list_resources(filter=self._mine))
        show(listed)
        check(len(listed) == len(self._names), f"the list should show {len(self._names)}")

    def _show_details(self) -> None:
        step("Details of each  (ResourceService/GetResource)")
        for name in self._names:
            full = self._get(name)
            if full.HasField("container"):
                said = (
                    f"image {full.container.image}, pid {full.container.pid}, "
                    f"memory limit {full.container.spec.resources.memory_bytes // MIB} MiB"
                )
            else:
                disks = ", ".join(f"{disk.target} {disk.path}" for disk in full.domain.disks)
                graphics = full.domain.graphics
                said = (
                    f"{full.domain.memory_bytes // MIB} MiB, {full.domain.vcpus} vCPU, "
                    f"{disks}, VNC on {graphics.listen}:{graphics.port}"
                )
            say(f"{name}: {said}")

    def _pause_and_resume(self) -> None:
        step("Pause and resume, the same verbs for both kinds")
        verbs = self._client.resources
        for name in self._names:
            expect(verbs.PauseResource(v1.PauseResourceRequest(id=name)).resource, "PAUSED")
            expect(verbs.ResumeResource(v1.ResumeResourceRequest(id=name)).resource, "RUNNING")

    def _snapshot_and_revert(self) -> None:
        step("Take a snapshot with memory, and go back to it  (SnapshotService)")
        snapshot = self._client.snapshots.CreateSnapshot(
            v1.CreateSnapshotRequest(id=self._desktop, name="ready", description="booted")
        ).snapshot
        check(snapshot.has_memory, "the snapshot of a running machine should hold its memory")
        say(f"snapshot {snapshot.name!r} taken, memory included")
        reverted = self._client.snapshots.RevertSnapshot(
            v1.RevertSnapshotRequest(id=self._desktop, name="ready")
        ).resource
        expect(reverted, "RUNNING")

    def _check_scopes(self) -> None:
        step("What a token without the scope 'advanced' may do")
        try:
            self._viewer.resources.StopResource(v1.StopResourceRequest(id=self._names[0]))
        except proa.PermissionDenied as error:
            say(f"PERMISSION_DENIED, {error.reason}: {error.message}")
            check(error.reason == "SCOPE_MISSING", "the reason should be SCOPE_MISSING")
        else:
            raise Failed("a basic token must not stop anything")
        listed = list(self._viewer.list_resources(filter=self._mine))
        check(len(listed) == len(self._names), "a basic token may read")

    def _stop(self) -> None:
        step("Stop them gracefully  (ResourceService/StopResource)")
        for name in self._names:
            started = time.monotonic()
            stopped = self._client.resources.StopResource(
                v1.StopResourceRequest(
                    id=name, mode=v1.STOP_MODE_GRACEFUL, grace_period=Duration(seconds=120)
                )
            ).resource
            expect(stopped, "STOPPED")
            say(f"it stopped in {time.monotonic() - started:.1f} s; nothing was killed")

    def _delete(self) -> None:
        step("Delete them; a machine with snapshots only on request")
        delete = self._client.resources.DeleteResource
        if self._web:
            delete(v1.DeleteResourceRequest(id=self._web))
        if not self._desktop:
            return
        try:
            delete(v1.DeleteResourceRequest(id=self._desktop))
        except proa.FailedPrecondition as error:
            say(f"FAILED_PRECONDITION, {error.reason}: {error.message}")
            check(error.reason == "HAS_SNAPSHOTS", "the reason should be HAS_SNAPSHOTS")
        else:
            raise Failed("a machine with snapshots must not go without a word")
        delete(v1.DeleteResourceRequest(id=self._desktop, delete_snapshots=True))

    def _check_leftovers(self) -> None:
        step("Nothing is left")
        check(not list(self._client.list_resources(filter=self._mine)), "a resource is left")
        if self._desktop:
            volumes = [v.name for v in self._client.list_volumes() if self._run in v.name]
            check(not volumes, f"volumes are left: {volumes}")
        say("no container, no virtual machine, no disk")
