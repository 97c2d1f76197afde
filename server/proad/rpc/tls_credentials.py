"""TLS credentials of the server, whose certificates are taken over by a reload."""

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import grpc

from proad.config import ListenAddress, Settings
from proad.reload import Prepared
from proad.tls import TlsMaterial, read_tls

_FILES = frozenset({"tls_cert_file", "tls_key_file", "tls_client_ca_file"})


class TlsCredentials:
    """Makes the credentials of each address, and takes over changed files.

    A handshake that begins after a reload gets the new certificate, and its client's certificate
    is held against the new authorities; connections that exist go on. Sessions are not resumed
    over a reload, since each configuration has its own keys of tickets.

    Args:
        tls: the keys and certificates to begin with; None without TLS.
        client_addresses: the addresses on which callers must show a certificate, if there are
            authorities for them; none: all.
    """

    settings = _FILES

    def __init__(
        self,
        tls: TlsMaterial | None,
        client_addresses: Collection[ListenAddress] = (),
    ) -> None:
        self._tls = tls
        self._client_addresses = client_addresses
        self._configuration = _configuration(tls) if tls else None

    def for_address(self, address: ListenAddress) -> grpc.ServerCredentials | None:
        """Return the credentials of an address; None without TLS.

        gRPC asks for each handshake whether the configuration is still the same, and asks for
        each address on its own: credentials of two addresses would miss each other's changes.
        """
        given = self._configuration
        if self._tls is None or given is None:
            return None
        demanded = not self._client_addresses or address in self._client_addresses

        def changed() -> Any:  # its type in grpc's stubs leaves None out
            """Return the configuration; None if it is the same. On a thread of gRPC."""
            nonlocal given
            if given is self._configuration:
                return None
            given = self._configuration
            return given

        return grpc.dynamic_ssl_server_credentials(
            given,
            changed,
            require_client_authentication=demanded and self._tls.client_ca is not None,
        )

    def prepare(self, settings: Settings) -> Prepared:
        """Read and check the files."""
        new, old = read_tls(settings.tls) if settings.tls else None, self._tls
        if new is None or old is None:
            # Whether an address has TLS is fixed when it is bound.
            return Prepared(_nothing, restart=_given(new or old))
        restart: frozenset[str] = frozenset()
        if (new.client_ca is None) != (old.client_ca is None):
            # So is whether callers must show certificates. The server's own certificate is
            # taken over even so: it must not expire for that.
            new = replace(new, client_ca=old.client_ca)
            restart = frozenset({"tls_client_ca_file"})
        return Prepared(self._taking_over(new), _changed(old, new), restart)

    def _taking_over(self, tls: TlsMaterial) -> Callable[[], None]:
        configuration = _configuration(tls)

        def take_over() -> None:
            if tls != self._tls:
                self._tls, self._configuration = tls, configuration

        return take_over


def _given(tls: TlsMaterial | None) -> frozenset[str]:
    """Return the names of the settings that the material is from."""
    if tls is None:
        return frozenset()
    return _FILES if tls.client_ca is not None else _FILES - {"tls_client_ca_file"}


def _changed(old: TlsMaterial, new: TlsMaterial) -> frozenset[str]:
    differs = {
        "tls_cert_file": old.chain != new.chain,
        "tls_key_file": old.key != new.key,
        "tls_client_ca_file": old.client_ca != new.client_ca,
    }
    return frozenset(name for name, different in differs.items() if different)


def _configuration(tls: TlsMaterial) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(tls.key, tls.chain)], root_certificates=tls.client_ca
    )


def _nothing() -> None:
    """Take over nothing."""
