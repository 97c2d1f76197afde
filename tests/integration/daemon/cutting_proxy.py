"""A proxy that loses the answers of a daemon."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


class CuttingProxy:
    """Passes connections on, until it is told to lose what the daemon sends next.

    Attributes:
        target: where clients connect.
        losses: how often it has lost something.
    """

    def __init__(self, daemon: str) -> None:
        host, _, port = daemon.partition(":")
        self._daemon = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.target = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.losses = 0
        self._meanwhile: Callable[[], object] | None = None
        threading.Thread(target=self._accept, daemon=True).start()

    def lose_next(self, meanwhile: Callable[[], object]) -> None:
        """Lose what the daemon sends next, do something, and only then break the connection."""
        self._meanwhile = meanwhile

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    daemon = socket.create_connection(self._daemon)
                except OSError:
                    client.close()
                    continue
                for pump in (self._to_daemon, self._to_client):
                    threading.Thread(target=pump, args=(client, daemon), daemon=True).start()

    def _to_daemon(self, client: socket.socket, daemon: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                daemon.sendall(data)
        _break(daemon)

    def _to_client(self, client: socket.socket, daemon: socket.socket) -> None:
        with suppress(OSError):
            while data := daemon.recv(65536):
                meanwhile, self._meanwhile = self._meanwhile, None
                if meanwhile is not None:
                    self.losses += 1
                    meanwhile()
                    break
                client.sendall(data)
        _break(client)
        _break(daemon)


def _break(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


@contextmanager
def cutting_proxy(daemon: str) -> Iterator[CuttingProxy]:
    """Run a proxy before a daemon."""
    proxy = CuttingProxy(daemon)
    try:
        yield proxy
    finally:
        proxy.close()
