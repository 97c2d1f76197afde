"""Connections to a Docker Engine by the program `ssh`, as those of the `docker` command.

docker-py's own way is one connection of paramiko with a channel for each request, of which a usual
server of SSH gives ten and no more. A process for each connection has no such bound, takes all that
stands in `~/.ssh/config`, and gives a socket like any other, which may time out and be hung up, and
which the event loop can carry.
"""

import errno
import http.client
import os
import queue
import signal
import socket
import subprocess
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import urllib3
from docker.transport.basehttpadapter import BaseHTTPAdapter

# A peer that is silent is asked every 10 seconds, and given up after 3 questions.
_OPTIONS = {
    "BatchMode": "yes",
    "ClearAllForwardings": "yes",
    # Or the end of one connection would be that of all.
    "ControlMaster": "no",
    "ControlPath": "none",
    "LogLevel": "ERROR",
    "ServerAliveCountMax": "3",
    "ServerAliveInterval": "10",
}
_REMOTE = "docker system dial-stdio"
# Connections that begin at a time: a usual server drops some of more than ten that have not yet
# shown who they are (MaxStartups of sshd_config).
_BEGINNING = 8
_LONGEST_REASON = 4096
_LONGEST_PONG = 1024
# Seconds in which a process that has hung up ends, so that all it says of why has been said.
_LAST_WORDS = 1.0
# What ssh ends with if the connection fails; else it ends as the command there.
_CONNECTION_LOST = 255


class Ssh:
    """Starts and ends `ssh` processes, each of which is a connection.

    Args:
        url: the ssh:// address of the engine's host.
    """

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self.command = [
            *("ssh", "-T", "-a", "-x"),
            *(part for name, value in _OPTIONS.items() for part in ("-o", f"{name}={value}")),
            *(("-l", unquote(address.username)) if address.username else ()),
            *(("-p", str(address.port)) if address.port else ()),
            *("--", address.hostname or "", _REMOTE),
        ]
        self._turns = threading.Semaphore(_BEGINNING)
        self._lock = threading.Lock()
        self._alive: set[subprocess.Popen[bytes]] = set()
        # Its connections keep this object: by then there are none, or the daemon exits with some whose
        # engine hangs, or which are just being made.
        weakref.finalize(self, _end_all, self._alive)
        self._ended: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()

    def connect(self, limit: float) -> "SshSocket":
        """Return a connection to the engine, which has answered on it. Blocks.

        Args:
            limit: seconds until it has answered.

        Raises:
            OSError: there is no connection; says why.
            TimeoutError: there was none in time.
            HTTPException: what answers there is no Docker Engine.
        """
        end = time.monotonic() + limit
        if not self._turns.acquire(timeout=limit):
            raise TimeoutError
        try:
            process, carrier = self._start()
            assert process.stderr is not None  # noqa: S101 - for mypy
            # What is said once the engine answers goes nowhere, so that it holds nothing up.
            with process.stderr as reasons:
                try:
                    with carrier.until(end):
                        _ping(carrier)
                except ConnectionError as error:
                    reason = _reason(process, reasons.fileno())
                    carrier.close()
                    raise ConnectionRefusedError(errno.ECONNREFUSED, reason) from error
                except BaseException:
                    carrier.close()
                    raise
        finally:
            self._turns.release()
        return carrier

    def _start(self) -> tuple["subprocess.Popen[bytes]", "SshSocket"]:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = subprocess.Popen(  # noqa: S603 - the operator's address, and no shell
                    self.command,
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=subprocess.PIPE,
                    start_new_session=True,
                )
            except FileNotFoundError:
                ours.close()
                raise FileNotFoundError(errno.ENOENT, "the program ssh is not installed") from None
            except BaseException:
                ours.close()
                raise
        with self._lock:
            self._alive.add(process)
            if len(self._alive) == 1:
                threading.Thread(target=self._reap, name="docker-ssh", daemon=True).start()
        carrier = SshSocket.of(ours, lambda: self._end(process))
        carrier.was_lost = lambda: _was_lost(process)
        return process, carrier

    def _end(self, process: "subprocess.Popen[bytes]") -> None:
        """End a process and what it has started. Does not block."""
        _kill(process)
        self._ended.put(process)

    def _reap(self) -> None:
        """Wait for the processes that end, until there is none."""
        while True:
            process = self._ended.get()
            process.wait()
            with self._lock:
                self._alive.discard(process)
                if not self._alive:
                    return


def _end_all(processes: Iterable["subprocess.Popen[bytes]"]) -> None:
    for each in [*processes]:
        _kill(each)


def _kill(process: "subprocess.Popen[bytes]") -> None:
    # As long as nobody has waited for it, the number is its own.
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


class SshSocket(socket.socket):
    """A socket whose other end is that of an `ssh` process, which ends when the socket is closed.

    Attributes:
        was_lost: tells whether the process has lost its connection; None: it has not ended.
    """

    on_close: Callable[[], None] | None = None
    was_lost: Callable[[], bool | None] = staticmethod(lambda: None)
    _end: float | None = None

    @contextmanager
    def until(self, end: float) -> Iterator[None]:
        """Let no read in the block wait any longer, however slowly bytes come, than this monotonic time."""
        self._end = end
        try:
            self._limit()  # for what is written, too, which a buffer takes
            yield
        finally:
            self._end = None

    def recv_into(self, *arguments: Any, **named: Any) -> int:
        """Read as sockets do; by this, files of the socket read."""
        self._limit()
        return super().recv_into(*arguments, **named)

    def _limit(self) -> None:
        if self._end is not None:
            if (left := self._end - time.monotonic()) <= 0:
                raise TimeoutError
            self.settimeout(left)

    @classmethod
    def of(cls, carrier: socket.socket, on_close: Callable[[], None]) -> Self:
        """Take over a socket; call `on_close` once nobody has it any more."""
        limit = carrier.gettimeout()
        taken = cls(fileno=carrier.detach())
        taken.settimeout(limit)
        taken.on_close = on_close
        return taken

    def at_close(self, call: Callable[[], None]) -> None:
        """Call `call`, too, once nobody has the socket any more."""
        before = self.on_close

        def both() -> None:
            if before is not None:
                before()
            call()

        self.on_close = both

    def dup(self) -> "SshSocket":
        """Return another one with the same end, which the process ends with from now on."""
        other = super().dup()
        other.on_close, self.on_close = self.on_close, None
        other.was_lost = self.was_lost
        return other

    def detach(self) -> int:
        """Give the descriptor to an event loop that closes it by itself, as uvloop's does."""
        number = super().detach()
        self._closed_at_last()
        return number

    def __del__(self) -> None:
        """Close it, though nobody took it who should have."""
        self.close()

    def _real_close(self, *arguments: Any) -> None:
        # Called by `close`, or at the end of the last file that was made of the socket.
        super()._real_close(*arguments)  # type: ignore[misc] # typeshed leaves it out
        self._closed_at_last()

    def _closed_at_last(self) -> None:
        if on_close := self.on_close:
            self.on_close = None
            on_close()


class SshAdapter(BaseHTTPAdapter):
    """One pool of connections for all calls.

    Args:
        url: the ssh:// address of the engine's host.
        size: how many connections to keep.
        limit: until the engine has answered on a new one. It may be longer than that of a call: what
            comes too late for one is there for the next.
    """

    def __init__(self, url: str, size: int, limit: timedelta) -> None:
        super().__init__()
        self._pool = _SshPool(Ssh(url), size, limit)

    def get_connection(self, url: str | bytes, proxies: Any = None) -> Any:  # noqa: ARG002 - one for all
        """Return the one pool."""
        return self._pool

    def close(self) -> None:
        """Close the idle connections."""
        super().close()
        self._pool.close()


class _SshPool(urllib3.HTTPConnectionPool):
    def __init__(self, ssh: Ssh, size: int, limit: timedelta) -> None:
        super().__init__("localhost", maxsize=size)
        self._ssh = ssh
        self._limit = limit

    def _new_conn(self) -> Any:  # of a protocol that typeshed makes too narrow
        return _SshConnection(self._ssh, self._limit)


class _SshConnection(urllib3.connection.HTTPConnection):
    def __init__(self, ssh: Ssh, limit: timedelta) -> None:
        super().__init__("localhost")
        self._ssh = ssh
        self._limit = limit

    def connect(self) -> None:
        try:
            carrier = self._ssh.connect(self._limit.total_seconds())
        except TimeoutError:
            raise urllib3.exceptions.ConnectTimeoutError(self, "no connection in time") from None
        assert isinstance(self.timeout, float | int)  # noqa: S101 - for mypy; every call has one
        carrier.settimeout(self.timeout)
        self.sock = carrier


def _ping(carrier: socket.socket) -> None:
    """Have the engine answer, and nothing left of the answer.

    Raises:
        OSError: it does not.
        HTTPException: what answers is no engine.
    """
    connection = http.client.HTTPConnection("localhost")
    connection.sock = carrier
    connection.request("GET", "/_ping")
    said = connection.getresponse().read(_LONGEST_PONG + 1)
    if len(said) > _LONGEST_PONG:
        raise http.client.HTTPException("it answers too much")
    if connection.sock is None:
        raise ConnectionResetError(errno.ECONNRESET, "it closes the connection with its answer")


def _was_lost(process: "subprocess.Popen[bytes]") -> bool | None:
    """Return whether a process has lost its connection, or was killed; None: it has not ended."""
    try:
        # It is left to be waited for: until then, its number is its own.
        end = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:  # somebody has waited for it, since nobody has the socket any more
        return True
    if end is None:
        return None
    return end.si_code != os.CLD_EXITED or end.si_status == _CONNECTION_LOST


def _reason(process: "subprocess.Popen[bytes]", said: int) -> str:
    """Return why there is no connection, as the process has said at last."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(_LAST_WORDS)
    os.set_blocking(said, False)
    text = b""
    with suppress(BlockingIOError):
        text = os.read(said, _LONGEST_REASON)
    lines = text.decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "ssh hung up")
