"""`make bench`: what a call through the daemon costs over the bare engine.

Each figure is a ratio of two medians measured in turns, in one run: absolute times tell
more about the machine than about us. The daemon runs in a process of its own; the bare
engines are asked as cheaply as Python can, over their Unix sockets.
"""

import http.client
import json
import os
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import libvirt
from rich.console import Console
from rich.table import Table

import proa
from proa import v1

ROUNDS = 40
IMAGE = "proa-test/busybox:1"
NAME = f"proa-test-{secrets.token_hex(4)}"
BIN = Path(sys.executable).parent
Act = Callable[[], object]


class BareDocker:
    """The Engine API over one kept connection."""

    def __init__(self) -> None:
        self._connection = http.client.HTTPConnection("localhost")
        self._connection.sock = socket.socket(socket.AF_UNIX)
        self._connection.sock.connect("/var/run/docker.sock")

    def __call__(self, method: str, path: str) -> bytes:
        self._connection.request(method, path)
        answer = self._connection.getresponse()
        body = answer.read()
        assert answer.status < 300, body
        return body


def ratio(ours: Act, bare: Act) -> tuple[float, float]:
    """Give the ratio of the medians, and the bare median in milliseconds."""
    times: dict[Act, list[float]] = {ours: [], bare: []}
    for number in range(ROUNDS + 3):
        for act in (ours, bare) if number % 2 else (bare, ours):
            # The engine's own late events of one pause would undo the next.
            time.sleep(0.03)
            begin = time.perf_counter()
            act()
            if number >= 3:  # after a warm-up
                times[act].append(time.perf_counter() - begin)
    median = {act: statistics.median(taken) for act, taken in times.items()}
    return median[ours] / median[bare], median[bare] * 1000


@contextmanager
def daemon() -> Iterator[proa.Client]:
    """Run a daemon on a Unix socket."""
    with tempfile.TemporaryDirectory(prefix="proa-bench-") as home:
        environment = os.environ | {
            "PROA_STATE_DIR": f"{home}/state",
            "PROA_LISTEN": f"unix:{home}/proa.sock",
            "PROA_VIRT_TYPE": "qemu",
            "PROA_LOG_LEVEL": "warning",
        }
        add = ["user", "add", "bench", "--scope=basic", "--scope=advanced", "--password-stdin"]
        subprocess.run(
            [BIN / "proad", *add],
            env=environment,
            input=b"benchmark",
            check=True,
            stdout=subprocess.DEVNULL,
        )
        process = subprocess.Popen([BIN / "proad", "serve"], env=environment)
        try:
            with proa.connect(
                f"unix:{home}/proa.sock", username="bench", password="benchmark"
            ) as client:
                client.auth.CreateToken(
                    v1.CreateTokenRequest(username="bench", password="benchmark"),
                    wait_for_ready=True,
                    timeout=30,
                )
                yield client
        finally:
            process.terminate()
            process.wait()


@contextmanager
def workloads(client: proa.Client) -> Iterator[tuple[str, str]]:
    """Run a container and a domain without a guest; give their ids."""
    container = client.containers.CreateContainer(
        v1.CreateContainerRequest(
            spec=v1.ContainerSpec(image=IMAGE, name=NAME, command=["sleep", "3600"]), start=True
        )
    ).resource.id
    domain = client.domains.CreateDomain(
        v1.CreateDomainRequest(
            spec=v1.DomainSpec(name=NAME, memory_bytes=64 << 20, diskless=True, networkless=True),
            start=True,
        )
    ).resource.id
    try:
        yield container, domain
    finally:
        for id in (container, domain):
            client.resources.DeleteResource(v1.DeleteResourceRequest(id=id, force=True))


def measure(client: proa.Client) -> Iterator[tuple[str, tuple[float, float], str]]:
    """Measure each row: the work, the ratio with the bare time, the design's target."""
    docker, connection = BareDocker(), libvirt.open("qemu:///system")
    with workloads(client) as (container, domain_id):
        domain = connection.lookupByUUIDString(domain_id)
        resources = client.resources

        def pause_and_resume(id: str) -> Act:
            def act() -> None:
                resources.PauseResource(v1.PauseResourceRequest(id=id))
                resources.ResumeResource(v1.ResumeResourceRequest(id=id))

            return act

        def bare_container() -> None:
            docker("POST", f"/containers/{container}/pause")
            docker("POST", f"/containers/{container}/unpause")

        def bare_domain() -> None:
            domain.suspend()
            domain.resume()

        yield (
            "pause + resume, container",
            ratio(pause_and_resume(container), bare_container),
            "1.25",
        )
        yield "pause + resume, domain", ratio(pause_and_resume(domain_id), bare_domain), "1.35"
        yield (
            "GetResource, full, container",
            ratio(
                lambda: resources.GetResource(v1.GetResourceRequest(id=container)),
                lambda: json.loads(docker("GET", f"/containers/{container}/json")),
            ),
            "1 (inventory)",
        )
        yield (
            "ListResources, both engines",
            ratio(
                lambda: resources.ListResources(v1.ListResourcesRequest()),
                lambda: json.loads(docker("GET", "/containers/json?all=1")),
            ),
            "0.2 (inventory)",
        )
    connection.close()


def main() -> None:
    """Print the table."""
    table = Table("work", "ours : bare", "bare, ms", "target")
    with daemon() as client:
        for work, (times, bare), target in measure(client):
            table.add_row(work, f"{times:.2f}", f"{bare:.1f}", target)
    Console().print(table)


if __name__ == "__main__":
    main()
