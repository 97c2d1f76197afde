"""A proxy before Docker that goes away in the middle of a call."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class FrailEngine:
    """Passes connections of a Unix socket on to an engine, until it is told to die.

    Attributes:
        url: where it listens.
        died: set when it has died.
    """

    def __init__(self, engine: Path, path: Path) -> None:
        self.url = f"unix://{path}"
        self.died = threading.Event()
        self._engine = engine
        self._fatal: bytes | None = None
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def die_at(self, request: bytes) -> None:
        """Pass the next request that has this in it on, and die before the answer."""
        self.died.clear()
        self._fatal = request

    def come_back(self) -> None:
        """Let connections through again."""
        self.died.clear()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.died.is_set():
                    client.close()
                    continue
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as engine:
            engine.connect(str(self._engine))
            back = threading.Thread(target=self._pump, args=(engine, client), daemon=True)
            back.start()
            self._pump(client, engine)
            back.join()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                fatal, seen = self._fatal, self._fatal is not None and self._fatal in data
                if self.died.is_set() and not seen:
                    break
                target.sendall(data)
                if fatal is not None and seen:
                    self._fatal = None
                    self.died.set()
                    break
        for connection in (source, target):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def frail_engine(engine: Path, folder: Path) -> Iterator[FrailEngine]:
    """Run a proxy before an engine, with a socket in a folder."""
    proxy = FrailEngine(engine, folder / "frail.sock")
    try:
        yield proxy
    finally:
        proxy.close()
