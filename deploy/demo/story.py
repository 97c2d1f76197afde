"""What the demo tells: the life of a container and of a virtual machine, side by side."""

import secrets
import threading
import time
from contextlib import suppress

from google.protobuf.duration_pb2 import Duration

import proa
from casting import CONTAINER, DOMAIN, GUEST_ISO, IMAGE
from proa import v1
from stage import Failed, check, console, expect, say, show, state_name, step, wait_for

MIB = 2**20


class Witness:
    """Watches all the while, as another user, and remembers what it was told."""

    def __init__(self, client: proa.Client, mine: v1.ResourceFilter, names: list[str]) -> None:
        self.seen: dict[str, list[str]] = {name: [] for name in names}
        self._watch = client.watch(mine)  # ends with the client
        self._synced = threading.Event()
        threading.Thread(target=self._follow, daemon=True).start()
        check(self._synced.wait(20), "the watch should have begun")

    def _follow(self) -> None:
        for change in self._watch:
            if isinstance(change, proa.Synced):
                self._synced.set()
            if not isinstance(change, proa.Change):
                continue
            gone = change.type == v1.CHANGE_TYPE_REMOVED
            what = "REMOVED" if gone else state_name(change.resource)
            told = self.seen[change.resource.name]
            if told[-1:] != [what]:
                told.append(what)
                by = f", by {change.actor}" if change.actor else ""
                console.print(f"    watch: {change.resource.name} {what}{by}", style="dim")

    def end(self) -> None:
        """Make sure that it was told everything."""
        for name, told in self.seen.items():
            wait_for(f"the end of {name}", 60, lambda told=told: told[-1:] == ["REMOVED"])  # type: ignore[misc] # mypy: a default in a lambda
            check(
                "PAUSED" in told and "STOPPED" in told, f"the watch missed a step of {name}: {told}"
            )
            say(f"{name}: {' → '.join(told)}")


class Story:
    """The main job, told by `client`, who may do all, and `viewer`, who may only read."""

    def __init__(
        self, client: proa.Client, viewer: proa.Client, kinds: list[v1.ResourceKind.ValueType]
    ) -> None:
        self._client = client
        self._viewer = viewer
        self._run = secrets.token_hex(3)
        self._web = f"demo-web-{self._run}" if CONTAINER in kinds else ""
        self._desktop = f"demo-desktop-{self._run}" if DOMAIN in kinds else ""
        self._names = [name for name in (self._web, self._desktop) if name]
        # What this run makes has this label, and only that is looked at.
        self._labels = {"proa.demo": self._run}
        self._mine = v1.ResourceFilter(labels=self._labels, kinds=kinds)

    def tell(self) -> None:
        """Go through the main job, with the kinds that this host can run."""
        witness = Witness(self._viewer, self._mine, self._names)
        if self._web:
            self._run_container()
        if self._desktop:
            self._boot_machine()
        self._list_all()
        self._look_closer()
        self._freeze()
        if self._desktop:
            self._travel_in_time()
        self._be_refused()
        self._shut_down()
        self._delete()
        step("What somebody who watched was told  (ResourceService/WatchResources)")
        witness.end()
        self._look_for_leftovers()

    def clean_up(self) -> None:
        """Remove what a story that broke off has left."""
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
            cdrom=v1.CdromSpec(path=str(GUEST_ISO.resolve())),
            disks=[v1.DiskSpec(new_volume=v1.NewDisk(capacity_bytes=64 * MIB))],
            # The host's default network may be in use by the host itself.
            networkless=True,
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

    def _look_closer(self) -> None:
        step("Details of each  (ResourceService/GetResource)")
        for name in self._names:
            full = self._get(name)
            if full.HasField("container"):
                said = (
                    f"image {full.container.image}, pid {full.container.pid}, "
                    f"memory limit {full.container.resources.memory_bytes // MIB} MiB"
                )
            else:
                disks = ", ".join(f"{disk.target} {disk.path}" for disk in full.domain.disks)
                graphics = full.domain.graphics
                said = (
                    f"{full.domain.memory_bytes // MIB} MiB, {full.domain.vcpus} vCPU, "
                    f"{disks}, VNC on {graphics.listen}:{graphics.port}"
                )
            say(f"{name}: {said}")

    def _freeze(self) -> None:
        step("Pause and resume, the same verbs for both kinds")
        verbs = self._client.resources
        for name in self._names:
            expect(verbs.PauseResource(v1.PauseResourceRequest(id=name)).resource, "PAUSED")
            expect(verbs.ResumeResource(v1.ResumeResourceRequest(id=name)).resource, "RUNNING")

    def _travel_in_time(self) -> None:
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

    def _be_refused(self) -> None:
        step("What a token without the scope 'advanced' gets")
        try:
            self._viewer.resources.StopResource(v1.StopResourceRequest(id=self._names[0]))
        except proa.PermissionDenied as error:
            say(f"PERMISSION_DENIED, {error.reason}: {error.message}")
            check(error.reason == "SCOPE_MISSING", "the reason should be SCOPE_MISSING")
        else:
            raise Failed("a basic token must not stop anything")
        listed = list(self._viewer.list_resources(filter=self._mine))
        check(len(listed) == len(self._names), "a basic token may read")

    def _shut_down(self) -> None:
        step("Stop them gracefully  (ResourceService/StopResource)")
        for name in self._names:
            started = time.monotonic()
            stopped = self._client.resources.StopResource(
                v1.StopResourceRequest(
                    id=name, mode=v1.STOP_MODE_GRACEFUL, grace_period=Duration(seconds=120)
                )
            ).resource
            expect(stopped, "STOPPED")
            say(f"it followed in {time.monotonic() - started:.1f} s; nothing was killed")

    def _delete(self) -> None:
        step("Delete them; a machine with snapshots only when told so")
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

    def _look_for_leftovers(self) -> None:
        step("Nothing is left")
        check(not list(self._client.list_resources(filter=self._mine)), "a resource is left")
        if self._desktop:
            volumes = [v.name for v in self._client.list_volumes() if self._run in v.name]
            check(not volumes, f"volumes are left: {volumes}")
        say("no container, no virtual machine, no disk")
