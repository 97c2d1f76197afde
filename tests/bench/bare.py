"""The engines themselves, asked as cheaply as Python can, and their own events."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

import libvirt

DOCKER_SOCKET = "/var/run/docker.sock"
LIBVIRT_URI = "qemu:///system"

OnState = Callable[[str, str, float], None]
"""Told of an event: full id, "paused" or "running", and when it came (perf_counter)."""


class BareDocker:
    """The Engine API over one kept connection. Not for several threads at once."""

    def __init__(self) -> None:
        self._connection = http.client.HTTPConnection("localhost")
        self._connection.sock = socket.socket(socket.AF_UNIX)
        self._connection.sock.connect(DOCKER_SOCKET)

    def __call__(self, method: str, path: str, body: object = None) -> bytes:
        """Send a request and read the answer; it is not parsed."""
        if body is None:
            self._connection.request(method, path)
        else:
            self._connection.request(
                method, path, json.dumps(body), {"Content-Type": "application/json"}
            )
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {content.decode()}")
        return content

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Send a request and parse the answer."""
        content = self(method, path, body)
        return json.loads(content) if content else None

    def labelled(self, label: str) -> list[Any]:
        """List the containers with a label, "name=value"."""
        filters = quote(json.dumps({"label": [label]}))
        listed: list[Any] = self.ask("GET", f"/containers/json?all=1&filters={filters}")
        return listed

    def close(self) -> None:
        self._connection.close()


class DockerEvents:
    """The Engine's own events of pausing and resuming, from when it is made."""

    def __init__(self, on_state: OnState) -> None:
        self._on_state = on_state
        filters = json.dumps({"type": ["container"], "event": ["pause", "unpause"]})
        self._connection = http.client.HTTPConnection("localhost")
        self._socket = self._connection.sock = socket.socket(socket.AF_UNIX)
        self._socket.connect(DOCKER_SOCKET)
        self._connection.request("GET", f"/events?{urlencode({'filters': filters})}")
        self._answer = self._connection.getresponse()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        states = {"pause": "paused", "unpause": "running"}
        while line := self._answer.readline():
            now = time.perf_counter()
            event = json.loads(line)
            self._on_state(event["id"], states[event["Action"]], now)

    def close(self) -> None:
        # Ends the read that the thread is in; closing alone would not.
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._connection.close()


class BareLibvirt:
    """Two connections to libvirt, one for work and one for its events.

    To be made before any other connection in this process: libvirt wants to have its
    event loop first.
    """

    def __init__(self) -> None:
        libvirt.registerErrorHandler(lambda _context, _error: None, None)
        libvirt.virEventRegisterDefaultImpl()
        threading.Thread(target=self._run, daemon=True).start()
        self.connection = libvirt.open(LIBVIRT_URI)
        self._events = libvirt.open(LIBVIRT_URI)

    def on_state(self, on_state: OnState) -> Callable[[], None]:
        """Follow suspending and resuming; call what is given to end that."""
        states = {
            libvirt.VIR_DOMAIN_EVENT_SUSPENDED: "paused",
            libvirt.VIR_DOMAIN_EVENT_RESUMED: "running",
        }

        def called(_: object, domain: Any, event: int, _detail: int, _opaque: object) -> None:
            now = time.perf_counter()
            if event in states:
                on_state(domain.UUIDString(), states[event], now)

        number = self._events.domainEventRegisterAny(
            None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, called, None
        )
        return lambda: self._events.domainEventDeregisterAny(number)

    def close(self) -> None:
        self._events.close()
        self.connection.close()

    @staticmethod
    def _run() -> None:
        while True:
            libvirt.virEventRunDefaultImpl()
