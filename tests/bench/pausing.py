"""Pause and resume against the engines' own calls for it."""

from collections.abc import Iterator

from bench.bare import BareDocker
from bench.daemon import Daemon
from bench.interleaved import Act, p50, time_interleaved
from bench.load import Load
from bench.plan import Plan
from bench.report import Row, Target
from proa import v1

# The engine's own late events of one pause would meet the next.
_PAUSE = 0.03
_NOTE = (
    "Both calls together, the same running resource on both sides. Ours by the bare HTTP/2 "
    "client, Docker by http.client, libvirt by libvirt-python; the daemon follows the "
    "engines' events meanwhile."
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

    for kind, id, act, limit in (
        ("container", container, bare_container, 1.25),
        ("domain", uuid, bare_domain, 1.35),
    ):
        times = time_interleaved(
            {"ours": _by_wire(daemon, id), "bare": act, "client": _by_client(daemon, id)},
            plan.verbs,
            pause=_PAUSE,
        )
        raw = p50(times["bare"])
        yield Row.ratio(
            f"pause + resume, {kind} : raw calls",
            p50(times["ours"]),
            raw,
            Target("≤", limit),
            note=_NOTE,
        )
        yield Row.ratio(
            "  by the Python client : raw calls", p50(times["client"]), raw, None, note=_CLIENT
        )
    bare.close()


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
