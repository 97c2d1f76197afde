"""The Engine API, raw. A connection for each call: the engine goes away all the time."""

import http.client
import json
import socket
from contextlib import closing
from typing import Any
from urllib.parse import urlencode

_TIMEOUT = 60


class RefusedError(Exception):
    """The engine answered with an error."""


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_TIMEOUT)
        self.sock.connect(self._path)


class Docker:
    """An engine at a unix:// address.

    Calls raise OSError or HTTPException where it does not answer, RefusedError where it does.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._path = url.removeprefix("unix://")

    def __call__(self, method: str, path: str, body: object = None, **query: str) -> Any:
        if query:
            path = f"{path}?{urlencode(query)}"
        with closing(_Connection(self._path)) as connection:
            headers = {"Content-Type": "application/json"} if body is not None else {}
            content = json.dumps(body) if body is not None else None
            connection.request(method, path, content, headers)
            answer = connection.getresponse()
            answered = answer.read()
        if answer.status >= http.client.MULTIPLE_CHOICES:
            raise RefusedError(f"{method} {path}: {answer.status} {answered.decode()}")
        return json.loads(answered) if answered.startswith((b"{", b"[")) else None

    def containers(self) -> list[Any]:
        listed: list[Any] = self("GET", "/containers/json", all="1")
        return listed

    def on(self, id: str, verb: str, **query: str) -> None:
        """Do something to a container."""
        self("POST", f"/containers/{id}/{verb}", **query)
