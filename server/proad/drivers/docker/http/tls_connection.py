"""Connections to a Docker Engine by TLS that can leave HTTP."""

import ssl
from pathlib import Path

import urllib3
from urllib3.util.ssltransport import SSLTransport


class TlsConnection(urllib3.connection.HTTPConnection):
    """A connection whose `sock` is an `SSLTransport`.

    Args:
        host: the engine's host, which its certificate names.
        port: of the engine.
        folder: with ca.pem, cert.pem and key.pem; None: the authorities of this host, and no
            certificate of our own.
    """

    def __init__(self, host: str, port: int | None, folder: Path | None) -> None:
        super().__init__(host, port)
        self._folder = folder

    def connect(self) -> None:
        """Connect, and see whose certificate the other end has."""
        context = ssl.create_default_context(cafile=self._folder and self._folder / "ca.pem")
        # Pythons before 3.11.4 take the end of a connection that was cut for a regular one.
        context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
        if self._folder is not None:
            context.load_cert_chain(self._folder / "cert.pem", self._folder / "key.pem")
        super().connect()
        assert self.sock is not None  # noqa: S101 - for mypy
        carrier = self.sock
        try:
            self.sock = SSLTransport(carrier, context, self.host.strip("[]"))
        except BaseException:
            carrier.close()
            raise
