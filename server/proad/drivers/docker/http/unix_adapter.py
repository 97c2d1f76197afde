"""Connections to the engine's Unix socket, where docker-py's own fall short."""

import socket
from typing import Any

import urllib3
from docker.transport import UnixHTTPAdapter
from docker.transport.unixconn import UnixHTTPConnection


class UnixAdapter(UnixHTTPAdapter):
    """One pool of connections for all calls.

    docker-py keeps a pool for each path, hence for each container, and leaves a socket
    open when it cannot connect it.
    """

    def __init__(self, path: str, size: int) -> None:
        super().__init__(f"http+unix://{path}", max_pool_size=size)
        self._pool = _UnixPool(path, size)

    def get_connection(self, url: str | bytes, proxies: Any = None) -> Any:  # noqa: ARG002 - one for all
        """Return the one pool."""
        return self._pool

    def close(self) -> None:
        """Close the idle connections."""
        super().close()
        self._pool.close()


class _UnixPool(urllib3.HTTPConnectionPool):
    def __init__(self, path: str, size: int) -> None:
        super().__init__("localhost", maxsize=size)
        self._path = path

    def _new_conn(self) -> Any:  # of a protocol that typeshed makes too narrow
        return _UnixConnection("http+docker://localhost", self._path)


class _UnixConnection(UnixHTTPConnection):
    def connect(self) -> None:
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            stream.settimeout(self.timeout)
            stream.connect(self.unix_socket)
        except BaseException:
            stream.close()
            raise
        self.sock = stream
