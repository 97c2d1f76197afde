"""The daemon that is measured: a process of its own, on a Unix socket."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import proa
from bench.wire import Wire
from eventually import wait_until
from proa import v1

_BIN = Path(sys.executable).parent
_USER, _PASSWORD = "bench", "benchmark"


@dataclass(frozen=True)
class Daemon:
    """A running daemon.

    Attributes:
        pid: of its process.
        socket: path of its Unix socket.
        token: grants both scopes.
        client: the ordinary client.
        wire: the bare HTTP/2 client.
    """

    pid: int
    socket: str
    token: str
    client: proa.Client
    wire: Wire

    def get(self, id: str) -> bytes:
        """Get one resource in full; the answer is not parsed."""
        request = v1.GetResourceRequest(id=id).SerializeToString()
        return self.wire.call("/proa.v1.ResourceService/GetResource", request)

    def list(self) -> list[v1.Resource]:
        """List all resources, page by page.

        Over a connection of its own: the bare one answers gRPC's pings only while it reads,
        and one that did not for a minute is closed by the daemon.
        """
        wire = Wire(self.socket, self.token)
        found: list[v1.Resource] = []
        request = v1.ListResourcesRequest()
        try:
            while True:
                answer = wire.call(
                    "/proa.v1.ResourceService/ListResources", request.SerializeToString()
                )
                page = v1.ListResourcesResponse.FromString(answer)
                found += page.resources
                request.page_token = page.next_page_token
                if not request.page_token:
                    return found
        finally:
            wire.close()

    def await_ids(self, ids: AbstractSet[str], patience: float = 30) -> None:
        """Wait until the daemon lists these ids."""
        missing = set(ids)

        def complete() -> bool:
            missing.difference_update(resource.id for resource in self.list())
            return not missing

        wait_until(complete, lambda: f"{len(missing)} of {len(ids)} missing", within=patience)


@contextmanager
def running(*arguments: str, folder: Path | None = None) -> Iterator[Daemon]:
    """Run a daemon with default settings, its log in a file.

    Args:
        arguments: of the interpreter, to run another program than `proad serve`.
        folder: where its state is to be; None: with other temporary files.

    Raises:
        RuntimeError: it did not start, with the end of its log; or it did not live to the end.
    """
    with tempfile.TemporaryDirectory(prefix="proa-bench-", dir=folder) as home:
        socket = f"{home}/proa.sock"
        environment = os.environ | {
            "PROA_STATE_DIR": f"{home}/state",
            "PROA_LISTEN": f"unix:{socket}",
        }
        add = ["user", "add", _USER, "--scope=basic", "--scope=advanced", "--password-stdin"]
        subprocess.run(
            [_BIN / "proad", *add],
            env=environment,
            input=_PASSWORD.encode(),
            check=True,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us alone
        )
        log = Path(f"{home}/log")
        with log.open("wb") as sink:
            process = subprocess.Popen(
                [sys.executable, *arguments] if arguments else [_BIN / "proad", "serve"],
                env=environment,
                stderr=sink,
                start_new_session=True,
            )
        try:
            _await_start(process, log)
            with _connected(process.pid, socket) as daemon:
                yield daemon
            if (code := process.poll()) is not None:
                raise RuntimeError(f"the daemon ended by itself, with {code}")
        finally:
            process.terminate()
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await_start(process: subprocess.Popen[bytes], log: Path) -> None:
    def serves() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"the daemon did not start:\n{log.read_text()[-4000:]}")
        return b"serving" in log.read_bytes()

    wait_until(serves, lambda: log.read_text()[-4000:], within=120)


@contextmanager
def _connected(pid: int, socket: str) -> Iterator[Daemon]:
    with proa.connect(f"unix:{socket}", username=_USER, password=_PASSWORD) as client:
        login = v1.CreateTokenRequest(username=_USER, password=_PASSWORD)
        token = client.auth.CreateToken(login, wait_for_ready=True, timeout=30).token
        wire = Wire(socket, token)
        try:
            yield Daemon(pid, socket, token, client, wire)
        finally:
            wire.close()
