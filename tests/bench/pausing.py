"""Pause and resume against the engines' own calls for it."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from bench.append import Append
from bench.bare import BareDocker
from bench.daemon import Daemon
from bench.echo import METHOD, echoing
from bench.interleaved import Act, p50, time_interleaved
from bench.load import Load
from bench.plan import Plan
from bench.report import Row, Target
from bench.wire import Wire
from proa import v1

# The engine's own late events of one pause would meet the next.
_PAUSE = 0.03
_NOTE = (
    "Both calls together, the same running resource on both sides. Ours by the bare HTTP/2 "
    "client, Docker by http.client, libvirt by libvirt-python, and two calls of a bare grpc.aio "
    "server by the bare HTTP/2 client; the daemon follows the engines' events meanwhile."
)
_SYNCED = (
    "The same, and what the audit log waits for: an append for each of the two calls that is "
    "brought to disk with an fdatasync."
)
_CLIENT = "Ours by the ordinary synchronous Python client; otherwise the same."


def verbs(plan: Plan, load: Load, daemon: Daemon) -> Iterator[Row]:
    """Pause and resume a container and a domain."""
    container, uuid = load.running_containers[0], load.running_domains[0]
    bare, domain = BareDocker(), load.domain(uuid)

    def bare_container() -> None:
        bare("POST", f"/containers/{container}/pause")
        bare("POST", f"/containers/{container}/unpause")

    def bare_domain() -> None:
        domain.suspend()
        domain.resume()

    with ExitStack() as stack:
        stack.callback(bare.close)
        echo = stack.enter_context(echoing(daemon.get(container)))
        wire = Wire(echo.socket)
        stack.callback(wire.close)
        log = stack.enter_context(Append(Path(daemon.socket).parent / "pauses"))
        for kind, id, act in (
            ("container", container, bare_container),
            ("domain", uuid, bare_domain),
        ):
            times = time_interleaved(
                {
                    "ours": _by_wire(daemon, id),
                    "bare": act,
                    "echo": lambda: _echo_twice(wire),
                    "sync": log.twice,
                    "client": _by_client(daemon, id),
                },
                plan.verbs,
                pause=_PAUSE,
            )
            ours, raw = p50(times["ours"]), p50(times["bare"]) + p50(times["echo"])
            work = f"pause + resume, {kind} : raw calls and two of gRPC"
            yield Row.ratio(work, ours, raw, Target("≤", 1.2), note=_NOTE)
            synced = raw + p50(times["sync"])
            yield Row.ratio("  : these and two bare syncs", ours, synced, None, note=_SYNCED)
            client = p50(times["client"])
            yield Row.ratio(
                "  by the Python client : raw calls", client, p50(times["bare"]), None, note=_CLIENT
            )


def _echo_twice(wire: Wire) -> None:
    for _ in range(2):
        wire.call(METHOD, b"")


def _by_wire(daemon: Daemon, id: str) -> Act:
    request = v1.PauseResourceRequest(id=id).SerializeToString()  # a ResumeResourceRequest, too

    def act() -> None:
        daemon.wire.call("/proa.v1.ResourceService/PauseResource", request)
        daemon.wire.call("/proa.v1.ResourceService/ResumeResource", request)

    return act


def _by_client(daemon: Daemon, id: str) -> Act:
    def act() -> None:
        daemon.client.resources.PauseResource(v1.PauseResourceRequest(id=id))
        daemon.client.resources.ResumeResource(v1.ResumeResourceRequest(id=id))

    return act
