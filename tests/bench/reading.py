"""ListResources and GetResource against the Engine's own list and inspect."""

import socket
from collections.abc import Iterator

import docker

from bench.bare import DOCKER_SOCKET, BareDocker
from bench.daemon import Daemon
from bench.interleaved import p50, time_interleaved
from bench.load import Load
from bench.plan import Plan
from bench.report import Row, Target
from proa import v1

_BARE = (
    "Ours by a bare HTTP/2 client, the Engine by http.client, each over one kept connection "
    "to a Unix socket; the answer is read, not parsed. "
)
_LIST = (
    _BARE + "ListResources gives the containers and the domains, the Engine its containers "
    "alone. docker-py is timed with its own parsing."
)
_GET = _BARE + "The same running container on both sides; a running domain against it as well."
_CLIENT = "Ours by the ordinary synchronous Python client, with its parsing; otherwise the same."
_PLAIN = (
    "The Engine by a bare socket without http.client, which takes a good part of so short a "
    "call; ours as before."
)


def lists(plan: Plan, load: Load, daemon: Daemon) -> Iterator[Row]:
    """List everything."""
    missing = load.ids - {resource.id for resource in daemon.list()}
    if missing:
        raise RuntimeError(f"ListResources lacks {len(missing)} of {len(load.ids)}")
    bare, sdk = BareDocker(), docker.DockerClient(base_url=f"unix://{DOCKER_SOCKET}")
    list_method = "/proa.v1.ResourceService/ListResources"
    times = time_interleaved(
        {
            "ours": lambda: daemon.wire.call(list_method, b""),
            "bare": lambda: bare("GET", "/containers/json?all=1"),
            "client": lambda: daemon.client.resources.ListResources(v1.ListResourcesRequest()),
        },
        plan.lists,
    )
    sdk_times = time_interleaved(
        {
            "ours": lambda: daemon.wire.call(list_method, b""),
            "sdk": lambda: sdk.containers.list(all=True),
        },
        plan.sdk_lists,
    )
    bare.close()
    sdk.close()
    size = f"{plan.containers} + {plan.domains}"
    ours, raw = p50(times["ours"]), p50(times["bare"])
    yield Row.ratio(f"ListResources, {size} : raw list", ours, raw, Target("≤", 1 / 5), note=_LIST)
    yield Row.ratio(
        f"ListResources, {size} : docker-py",
        p50(sdk_times["ours"]),
        p50(sdk_times["sdk"]),
        Target("≤", 1 / 100),
        note=_LIST,
    )
    yield Row.ratio(
        "  by the Python client : raw list", p50(times["client"]), raw, None, note=_CLIENT
    )


def gets(plan: Plan, load: Load, daemon: Daemon) -> Iterator[Row]:
    """Get one container and one domain in full."""
    container, domain = load.running_containers[0], load.running_domains[0]
    for id in (container, domain):
        resource = v1.GetResourceResponse.FromString(daemon.get(id)).resource
        if resource.id != id:
            raise RuntimeError(f"asked for {id}, got {resource.id}")
    bare, plain = BareDocker(), _PlainSocket()
    get_method = "/proa.v1.ResourceService/GetResource"
    of_container = v1.GetResourceRequest(id=container)
    of_domain = v1.GetResourceRequest(id=domain)
    container_bytes, domain_bytes = of_container.SerializeToString(), of_domain.SerializeToString()
    inspect = f"/containers/{container}/json"
    times = time_interleaved(
        {
            "container": lambda: daemon.wire.call(get_method, container_bytes),
            "domain": lambda: daemon.wire.call(get_method, domain_bytes),
            "inspect": lambda: bare("GET", inspect),
            "plain": lambda: plain.get(inspect),
            "client": lambda: daemon.client.resources.GetResource(of_container),
        },
        plan.gets,
    )
    bare.close()
    plain.close()
    raw, below = p50(times["inspect"]), Target("<", 1)
    yield Row.ratio(
        "GetResource, full, container : raw inspect",
        p50(times["container"]),
        raw,
        below,
        note=_GET,
    )
    yield Row.ratio(
        "GetResource, full, domain : raw inspect", p50(times["domain"]), raw, below, note=_GET
    )
    yield Row.ratio(
        "  container, by the Python client : raw inspect",
        p50(times["client"]),
        raw,
        None,
        note=_CLIENT,
    )
    yield Row.ratio(
        "  container : inspect by a bare socket",
        p50(times["container"]),
        p50(times["plain"]),
        None,
        note=_PLAIN,
    )


class _PlainSocket:
    """GET requests, with nothing of the answer looked at but its end."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(DOCKER_SOCKET)

    def get(self, path: str) -> bytes:
        self._socket.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        answer = b""
        while not answer.endswith(b"\r\n0\r\n\r\n"):  # an inspect comes in chunks
            part = self._socket.recv(1 << 18)
            if not part:
                raise ConnectionError("the Engine closed the connection")
            answer += part
        return answer

    def close(self) -> None:
        self._socket.close()
