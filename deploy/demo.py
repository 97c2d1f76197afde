"""`make demo`: the main job, step by step, on this host's real engines.

Starts a daemon of its own on a free port with a state folder of its own, logs in,
and takes one container and one virtual machine through their lives. Exits with 0 only
if every step came out as told, and leaves nothing behind either way.
"""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

from google.protobuf.duration_pb2 import Duration
from rich.console import Console
from rich.table import Table

import proa
from proa import v1

ROOT = Path(__file__).parent.parent
GUEST_ISO = ROOT / "build/guest/guest.iso"  # a link to where QEMU's own user may read
IMAGE = "proa-test/busybox:1"
MIB = 2**20
RUN = secrets.token_hex(3)
LABELS = {"proa.demo": RUN}
WEB, DESKTOP = f"demo-web-{RUN}", f"demo-desktop-{RUN}"

# Wide where there is no terminal to ask, as in a log.
console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 120)


class Failed(Exception):  # noqa: N818 - reads better where it is raised
    """A step did not come out as told."""


def step(text: str) -> None:
    """Begin a step of the story."""
    console.print(f"\n[bold cyan]▸[/] [bold]{text}[/]")


def say(text: str) -> None:
    """Tell what came out."""
    console.print(f"  {text}")


def check(condition: bool, otherwise: str) -> None:  # noqa: FBT001 - reads like assert
    """Go on only if `condition` holds."""
    if not condition:
        raise Failed(otherwise)


@contextmanager
def daemon(home: Path, passwords: dict[str, tuple[str, list[str]]]) -> Iterator[str]:
    """Run a daemon with these users, and give its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    # The small guest boots in seconds under emulation, on hosts with and without KVM.
    environment = os.environ | {
        "PROA_STATE_DIR": str(home / "state"),
        "PROA_LISTEN": address,
        "PROA_VIRT_TYPE": "qemu",
        "PROA_LOG_FORMAT": "json",
    }
    proad = str(Path(sys.executable).with_name("proad"))
    for name, (password, scopes) in passwords.items():
        options = [option for scope in scopes for option in ("--scope", scope)]
        subprocess.run(
            [proad, "user", "add", name, *options, "--password-stdin"],
            input=password,
            text=True,
            env=environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        say(f"proad user add {name} {' '.join(options)} --password-stdin")
    log = home / "proad.log"
    with log.open("w") as sink:
        process = subprocess.Popen([proad, "serve"], env=environment, stderr=sink)
    say(f"proad serve        (on {address}, log {log})")
    try:
        yield address
    except BaseException:
        console.print(f"\n{log.read_text()[-2000:]}", style="dim", markup=False)
        raise
    finally:
        process.terminate()
        process.wait(timeout=40)


def wait_for(what: str, seconds: float, condition: Callable[[], bool]) -> float:
    """Wait until `condition` holds and tell how long it took."""
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        if condition():
            return time.monotonic() - started
        time.sleep(0.1)
    raise Failed(f"waited {seconds:g} s in vain for {what}")


def answers(client: proa.Client) -> bool:
    """Tell whether the daemon is up."""
    try:
        client.auth.GetCaller(v1.GetCallerRequest())
    except proa.Unavailable:
        return False
    return True


def show(resources: list[v1.Resource]) -> None:
    """Print resources as a table."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    for heading in ("KIND", "NAME", "STATE", "ID", "LEGAL NOW"):
        table.add_column(heading)
    for r in resources:
        verbs = " ".join(
            v1.Verb.Name(verb).removeprefix("VERB_").lower() for verb in r.allowed_verbs
        )
        kind = v1.ResourceKind.Name(r.kind).removeprefix("RESOURCE_KIND_").lower()
        table.add_row(kind, r.name, state_name(r), r.id[:13], verbs)
    console.print(table)


def state_name(resource: v1.Resource) -> str:
    """Give the state without its prefix."""
    return v1.ResourceState.Name(resource.state).removeprefix("RESOURCE_STATE_")


def expect(resource: v1.Resource, state: str) -> None:
    """Say the state of a resource, and fail if it is another one."""
    say(f"{resource.name} is {state_name(resource)}")
    check(state_name(resource) == state, f"{resource.name} should be {state}")


def mine() -> v1.ResourceFilter:
    """Choose what this run of the demo made."""
    return v1.ResourceFilter(labels=LABELS)


class Witness:
    """Watches all the while, as another user, and remembers what it was told."""

    def __init__(self, client: proa.Client) -> None:
        self.seen: dict[str, list[str]] = {WEB: [], DESKTOP: []}
        self._watch = client.watch(mine())  # ends with the client
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        for change in self._watch:
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
            wait_for(f"the end of {name}", 5, lambda told=told: told[-1:] == ["REMOVED"])  # type: ignore[misc] # mypy: a default in a lambda
            check(
                "PAUSED" in told and "STOPPED" in told, f"the watch missed a step of {name}: {told}"
            )
            say(f"{name}: {' → '.join(told)}")


def look_at_host(client: proa.Client) -> None:
    """Ask for the engines."""
    step("Which engines does this host have?  HostService/GetHost")
    host = client.hosts.GetHost(v1.GetHostRequest()).host
    for engine in host.engines:
        health = v1.EngineHealth.Name(engine.health).removeprefix("ENGINE_HEALTH_")
        say(f"{engine.driver} {engine.version} at {engine.endpoint}: {health}")
        check(health == "SERVING", f"{engine.driver} does not answer: {engine.health_message}")


def run_container(client: proa.Client) -> None:
    """Run a container."""
    step("Run a container  (ContainerService/CreateContainer, like docker run)")
    container = v1.ContainerSpec(
        image=IMAGE,
        name=WEB,
        command=["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"],
        labels=LABELS,
        env={"GREETING": "hello"},
        resources=v1.ContainerResources(memory_bytes=64 * MIB, pids_limit=32),
    )
    created = client.containers.CreateContainer(
        v1.CreateContainerRequest(spec=container, start=True)
    ).resource
    expect(created, "RUNNING")


def boot_machine(client: proa.Client, iso: Path) -> None:
    """Create and start a virtual machine."""
    step("Boot a virtual machine from an installation medium  (DomainService/CreateDomain)")
    machine = v1.DomainSpec(
        name=DESKTOP,
        memory_bytes=192 * MIB,
        vcpus=1,
        cdrom=v1.CdromSpec(path=str(iso)),
        disks=[v1.DiskSpec(new_volume=v1.NewDisk(capacity_bytes=64 * MIB))],
        # The host's default network may be in use by the host itself.
        networkless=True,
        labels=LABELS,
    )
    vm = client.domains.CreateDomain(v1.CreateDomainRequest(spec=machine, start=True)).resource
    expect(vm, "RUNNING")

    def agent() -> bool:
        full = client.resources.GetResource(v1.GetResourceRequest(id=DESKTOP)).resource
        return full.domain.guest_agent_connected

    say(f"its guest agent reported after {wait_for('the guest agent', 60, agent):.1f} s")


def list_both(client: proa.Client) -> None:
    """List both kinds."""
    step("Both kinds in one list  (ResourceService/ListResources)")
    both = list(client.list_resources(filter=mine()))
    show(both)
    check(len(both) == len((WEB, DESKTOP)), "the list should show both")


def look_closer(client: proa.Client) -> None:
    """Ask for details."""
    step("Details of each  (ResourceService/GetResource)")
    full = client.resources.GetResource(v1.GetResourceRequest(id=WEB)).resource
    say(
        f"{WEB}: image {full.container.image}, pid {full.container.pid}, "
        f"memory limit {full.container.resources.memory_bytes // MIB} MiB"
    )
    full = client.resources.GetResource(v1.GetResourceRequest(id=f"domain/{DESKTOP}")).resource
    disks = ", ".join(f"{disk.target} {disk.path}" for disk in full.domain.disks)
    say(
        f"{DESKTOP}: {full.domain.memory_bytes // MIB} MiB, {full.domain.vcpus} vCPU, "
        f"{disks}, VNC on {full.domain.graphics.listen}:{full.domain.graphics.port}"
    )


def freeze(client: proa.Client) -> None:
    """Pause and resume both."""
    step("Pause and resume, the same verbs for both kinds")
    for name in (WEB, DESKTOP):
        expect(client.resources.PauseResource(v1.PauseResourceRequest(id=name)).resource, "PAUSED")
        expect(
            client.resources.ResumeResource(v1.ResumeResourceRequest(id=name)).resource, "RUNNING"
        )


def travel_in_time(client: proa.Client) -> None:
    """Take a snapshot and go back to it."""
    step("Take a snapshot with memory, and go back to it  (SnapshotService)")
    snapshot = client.snapshots.CreateSnapshot(
        v1.CreateSnapshotRequest(id=DESKTOP, name="ready", description="booted")
    ).snapshot
    check(snapshot.has_memory, "the snapshot of a running machine should hold its memory")
    say(f"snapshot {snapshot.name!r} taken, memory included")
    expect(
        client.snapshots.RevertSnapshot(
            v1.RevertSnapshotRequest(id=DESKTOP, name="ready")
        ).resource,
        "RUNNING",
    )


def be_refused(viewer: proa.Client) -> None:
    """Try to change something with a token that may only read."""
    step("What a token without the scope 'advanced' gets")
    try:
        viewer.resources.StopResource(v1.StopResourceRequest(id=WEB))
    except proa.PermissionDenied as error:
        say(f"PERMISSION_DENIED, {error.reason}: {error.message}")
        check(error.reason == "SCOPE_MISSING", "the reason should be SCOPE_MISSING")
    else:
        raise Failed("a basic token must not stop anything")
    check(len(list(viewer.list_resources(filter=mine()))) == 2, "a basic token may read")  # noqa: PLR2004 - as above


def shut_down(client: proa.Client) -> None:
    """Stop both gracefully."""
    step("Stop them gracefully  (ResourceService/StopResource)")
    for name in (WEB, DESKTOP):
        started = time.monotonic()
        stopped = client.resources.StopResource(
            v1.StopResourceRequest(
                id=name, mode=v1.STOP_MODE_GRACEFUL, grace_period=Duration(seconds=40)
            )
        ).resource
        expect(stopped, "STOPPED")
        say(f"it followed in {time.monotonic() - started:.1f} s; nothing was killed")


def delete(client: proa.Client) -> None:
    """Delete both."""
    step("Delete them; a machine with snapshots only when told so")
    client.resources.DeleteResource(v1.DeleteResourceRequest(id=WEB))
    try:
        client.resources.DeleteResource(v1.DeleteResourceRequest(id=DESKTOP))
    except proa.FailedPrecondition as error:
        say(f"FAILED_PRECONDITION, {error.reason}: {error.message}")
        check(error.reason == "HAS_SNAPSHOTS", "the reason should be HAS_SNAPSHOTS")
    else:
        raise Failed("a machine with snapshots must not go without a word")
    client.resources.DeleteResource(v1.DeleteResourceRequest(id=DESKTOP, delete_snapshots=True))


def look_for_leftovers(client: proa.Client) -> None:
    """Make sure that nothing is left."""
    step("Nothing is left")
    check(not list(client.list_resources(filter=mine())), "a resource is left")
    left = [v.name for v in client.list_volumes() if RUN in v.name]
    check(not left, f"volumes are left: {left}")
    say("no container, no virtual machine, no disk")


def tell(client: proa.Client, viewer: proa.Client, iso: Path) -> None:
    """Go through the main job."""
    look_at_host(client)
    witness = Witness(viewer)
    run_container(client)
    boot_machine(client, iso)
    list_both(client)
    look_closer(client)
    freeze(client)
    travel_in_time(client)
    be_refused(viewer)
    shut_down(client)
    delete(client)
    step("What somebody who watched was told  (ResourceService/WatchResources)")
    witness.end()
    look_for_leftovers(client)


def clean_up(client: proa.Client) -> None:
    """Remove what a story that broke off has left."""
    for resource in client.list_resources(filter=mine()):
        with suppress(proa.NotFound):
            client.resources.DeleteResource(
                v1.DeleteResourceRequest(
                    id=resource.id, force=True, delete_snapshots=True, delete_saved_state=True
                )
            )


def main() -> int:
    """Tell the whole story; 0 if it came out well."""
    started = time.monotonic()
    home = Path(tempfile.mkdtemp(prefix="proa-demo-"))
    iso = GUEST_ISO.resolve()
    passwords = {
        "ada": (secrets.token_urlsafe(12), ["basic", "advanced"]),
        "viewer": (secrets.token_urlsafe(12), ["basic"]),
    }
    try:
        step("Two users and a daemon with a state folder of its own")
        with daemon(home, passwords) as address:
            patience = timedelta(seconds=90)
            with (
                proa.connect(
                    address, username="ada", password=passwords["ada"][0], timeout=patience
                ) as client,
                proa.connect(
                    address, username="viewer", password=passwords["viewer"][0], timeout=patience
                ) as viewer,
            ):
                step("Log in  (AuthService/CreateToken, a JWT for 30 minutes)")
                wait_for("the daemon", 20, lambda: answers(client))
                caller = client.auth.GetCaller(v1.GetCallerRequest())
                scopes = [v1.Scope.Name(s).removeprefix("SCOPE_").lower() for s in caller.scopes]
                say(f"I am {caller.username}, my token allows: {', '.join(scopes)}")
                try:
                    tell(client, viewer, iso)
                finally:
                    clean_up(client)
    except (Failed, proa.Error, subprocess.SubprocessError) as error:
        console.print(f"\n[bold red]✗ the demo failed:[/] {error}")
        return 1
    finally:
        shutil.rmtree(home, ignore_errors=True)
    console.print(f"\n[bold green]✓ all of it was so[/], in {time.monotonic() - started:.0f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
