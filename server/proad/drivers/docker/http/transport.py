"""Requests to a Docker Engine and their answers, by Unix socket, TCP with TLS, or SSH.

docker-py's low-level client knows the ways; the requests themselves go straight to its
connections, for the layers in between cost more than many an answer of the engine.
"""

import http.client
import threading
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import docker
import requests
import urllib3
from docker.tls import TLSConfig
from requests.adapters import HTTPAdapter

from proad.drivers.docker.http.ssh import SshAdapter
from proad.drivers.docker.http.tls_connection import TlsConnection
from proad.drivers.docker.http.unix_adapter import UnixAdapter

# docker-py wants one at construction; every path names the negotiated one instead.
_PLACEHOLDER_VERSION = "1.41"
# More than a list of all that a host can run; an engine that talks for ever takes no more memory.
_LARGEST_ANSWER = 256 * 2**20


class Reply(NamedTuple):
    """Status, body and Date header of an answer."""

    status: int
    body: bytes
    date: str


class Transport:
    """The connections to one engine. All of it blocks.

    Args:
        url: unix://, tcp:// or ssh:// address of the engine.
        cert_path: folder with ca.pem, cert.pem and key.pem; makes tcp:// speak TLS.
        size: how many connections to keep.
        timeout: for connections by SSH.
        connect_timeout: of a connection otherwise.

    Attributes:
        is_ssh: whether each connection is a process, and takes long to make.
    """

    def __init__(
        self,
        url: str,
        *,
        cert_path: Path | None,
        size: int,
        timeout: timedelta,
        connect_timeout: timedelta,
    ) -> None:
        self._url = url
        self._cert_path = cert_path
        self._size = size
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self.is_ssh = url.startswith("ssh:")
        self._lock = threading.Lock()
        self._client: docker.APIClient | None = None

    def exchange(
        self,
        method: str,
        target: str,
        *,
        body: bytes | None,
        headers: Mapping[str, str],
        limit: timedelta,
    ) -> Reply:
        """Send one request and read the whole answer; nothing may come for `limit`.

        Raises:
            HTTPException: the answer is larger than any that an engine has.
        """
        pool, prefix = self._pool(target)
        response = pool.urlopen(
            method,
            prefix + target,
            body=body,
            headers=headers,
            timeout=urllib3.Timeout(
                connect=min(limit, self._connect_timeout).total_seconds(),
                read=limit.total_seconds(),
            ),
            retries=False,
            # Docker redirects paths that are not clean; to follow would be to call
            # something that nobody asked for.
            redirect=False,
            preload_content=False,
            decode_content=False,
        )
        try:
            content = _content(response)
        except BaseException:
            response.close()
            raise
        response.release_conn()
        return Reply(response.status, content, response.headers.get("Date", ""))

    def connection(
        self, target: str, limit: timedelta
    ) -> tuple[urllib3.connection.HTTPConnection, str]:
        """Return a connection for one request, and the full target of that.

        By SSH, where each new one takes long, it may be one that was kept.

        Args:
            target: of the request.
            limit: the longest silence, now and later.
        """
        connection, full_target = self._taken(target)
        return _connected(connection, limit), full_target

    def keep(self, connection: urllib3.connection.HTTPConnection) -> None:
        """Take a connection back whose answer has come as a whole."""
        if self.is_ssh and connection.sock is not None:
            pool, _ = self._pool("/")
            pool._put_conn(connection)  # noqa: SLF001 - as above
        else:
            connection.close()

    def own_connection(
        self, target: str, limit: timedelta
    ) -> tuple[urllib3.connection.HTTPConnection, str]:
        """Return as `connection` does one that can leave HTTP; by TLS, its state is in memory."""
        connection, full_target = self._taken(target)
        if isinstance(connection, urllib3.connection.HTTPSConnection):
            connection = TlsConnection(connection.host, connection.port, self._cert_path)
        return _connected(connection, limit), full_target

    def close(self) -> None:
        """Close the idle connections."""
        if self._client is not None:
            self._client.close()

    def _taken(self, target: str) -> tuple[urllib3.connection.HTTPConnection, str]:
        pool, prefix = self._pool(target)
        # What the pool itself does for each request; it has no public way to keep one.
        take = pool._get_conn if self.is_ssh else pool._new_conn  # noqa: SLF001 - as said
        return take(), prefix + target

    def _pool(self, target: str) -> tuple[Any, str]:
        with self._lock:
            if self._client is None:
                self._client = self._new_client()
        client = self._client
        adapter = client.get_adapter(client.base_url)
        assert isinstance(adapter, HTTPAdapter)  # noqa: S101 - for mypy; docker-py has no other
        asked = requests.PreparedRequest()
        asked.url = client.base_url + target
        pool = adapter.get_connection_with_tls_context(asked, client.verify, cert=client.cert)
        return pool, urlsplit(client.base_url).path.rstrip("/")

    def _new_client(self) -> docker.APIClient:
        client = docker.APIClient(
            # It would connect at once by SSH, and by other means than ours.
            "unix://ssh" if self.is_ssh else self._url,
            version=_PLACEHOLDER_VERSION,
            tls=_tls(self._cert_path) if self._cert_path else False,
            timeout=int(self._timeout.total_seconds()) or 1,
            max_pool_size=self._size,
        )
        if self._url.startswith("unix:"):
            path = self._url.removeprefix("unix:").removeprefix("//")
            client.mount("http+docker://", UnixAdapter(path, self._size))
        elif self.is_ssh:
            client.mount("http+docker://", SshAdapter(self._url, self._size, self._timeout))
        return client


def _connected(
    connection: urllib3.connection.HTTPConnection, limit: timedelta
) -> urllib3.connection.HTTPConnection:
    connection.timeout = limit.total_seconds()
    try:
        if connection.sock is None:
            connection.connect()
        else:  # it was kept
            connection.sock.settimeout(connection.timeout)
    except BaseException:
        connection.close()
        raise
    return connection


def _content(answer: Any) -> bytes:
    """Return what a whole answer has."""
    content: bytes = answer.read(_LARGEST_ANSWER)
    if answer.read(1):  # which also tells whether less has come than was announced
        raise http.client.HTTPException("an answer is too large")
    return content


def _tls(folder: Path) -> TLSConfig:
    return TLSConfig(
        client_cert=(str(folder / "cert.pem"), str(folder / "key.pem")),
        ca_cert=str(folder / "ca.pem"),
        verify=True,
    )
