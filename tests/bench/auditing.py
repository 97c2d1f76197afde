"""What the audit log costs, against bare appends that are brought to disk."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from bench.append import Append
from bench.daemon import Daemon, running
from bench.interleaved import Act, p50, time_interleaved
from bench.plan import Plan
from bench.populated import IMAGE
from bench.report import Row, Target
from proa import v1

_SERVICE = "/proa.v1.ResourceService/"
_MEMORY = Path("/dev/shm")
_WHOLE = (
    "Pause and resume together on the memory driver, by the bare HTTP/2 client, with the audit "
    "log as shipped; against the same with the daemon's state in a file system in memory, where "
    "a sync costs nothing."
)
_DISK = (
    "The difference of these two, which is what waiting for the disk costs; against two appends "
    "of the same bytes to a file on the same disk, each with an fdatasync. Each of the two calls "
    "waits for one sync."
)


def audit(plan: Plan) -> Iterator[Row]:
    """Pause and resume a container with the log on disk and in memory, and append beside."""
    with ExitStack() as stack:
        on_disk = stack.enter_context(running("-m", "bench.populated", "10"))
        in_memory = stack.enter_context(running("-m", "bench.populated", "10", folder=_MEMORY))
        bare = stack.enter_context(Append(Path(on_disk.socket).parent / "bare"))
        times = time_interleaved(
            {
                "disk": _verbs(on_disk),
                "memory": _verbs(in_memory),
                "bare": bare.twice,
            },
            plan.audit,
        )
    disk, memory = p50(times["disk"]), p50(times["memory"])
    yield Row.ratio(
        "pause + resume with the audit log : in memory", disk, memory, None, note=_WHOLE
    )
    yield Row.ratio(
        "  what the disk adds : two bare syncs",
        disk - memory,
        p50(times["bare"]),
        Target("≤", 1.5),
        note=_DISK,
    )


def _verbs(daemon: Daemon) -> Act:
    spec = v1.ContainerSpec(image=IMAGE, name="audited")
    daemon.client.containers.CreateContainer(v1.CreateContainerRequest(spec=spec, start=True))
    request = v1.PauseResourceRequest(id="audited").SerializeToString()

    def act() -> None:
        daemon.wire.call(_SERVICE + "PauseResource", request)
        daemon.wire.call(_SERVICE + "ResumeResource", request)  # whose request has the same fields

    return act
