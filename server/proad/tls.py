"""The TLS files, which are checked here because gRPC reports no cause of a failure."""

import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from proad.config import TlsFiles
from proad.errors import SetupError


@dataclass(frozen=True, slots=True)
class TlsMaterial:
    """Keys and certificates of the listening side, in PEM.

    Attributes:
        key: the private key.
        chain: the certificate of the key, and the intermediates up to an authority.
        client_ca: authorities of callers' certificates; None if callers need none.
    """

    key: bytes = field(repr=False)
    chain: bytes
    client_ca: bytes | None


@dataclass(frozen=True, slots=True)
class ClientTrust:
    """What callers' certificates are held against.

    Attributes:
        authorities: the authorities.
        revoked: issuer and serial number of each revoked certificate.
    """

    authorities: tuple[x509.Certificate, ...]
    revoked: frozenset[tuple[x509.Name, int]] = frozenset()


def read_tls(files: TlsFiles) -> TlsMaterial:
    """Read the files, and check that they are valid now and belong together.

    Raises:
        SetupError: a file cannot be read or has other contents, a certificate is not valid
            now, others may read the key, or the key belongs to another certificate.
    """
    key, public = _read_key(files.key_file)
    chain = _read(files.cert_file)
    certificates = _certificates(files.cert_file, chain)
    for certificate in certificates:
        _check_time(files.cert_file, certificate)
    if _bytes(certificates[0].public_key()) != _bytes(public):
        raise SetupError(
            f"{files.key_file}: is not the key of the first certificate in {files.cert_file} "
            f"({_subject(certificates[0])}); give the files that were made together"
        )
    return TlsMaterial(key, chain, _read_authorities(files.client_ca_file))


def read_client_trust(files: TlsFiles | None) -> ClientTrust | None:
    """Read what callers' certificates are held against; None if callers need none.

    Raises:
        SetupError: a file cannot be read or has other contents, or a list of revoked
            certificates is of no authority or out of date.
    """
    if files is None or files.client_ca_file is None:
        return None
    authorities = _certificates(files.client_ca_file, _read(files.client_ca_file))
    revoked: set[tuple[x509.Name, int]] = set()
    if files.client_crl_file is not None:
        for each in _revocation_lists(files.client_crl_file):
            _check_list(files.client_crl_file, each, authorities)
            revoked |= {(each.issuer, entry.serial_number) for entry in each}
    return ClientTrust(tuple(authorities), frozenset(revoked))


def _revocation_lists(path: Path) -> list[x509.CertificateRevocationList]:
    data = _read(path)
    lists = re.findall(rb"-----BEGIN X509 CRL-----.*?-----END X509 CRL-----", data, re.DOTALL)
    try:
        if lists:
            _check_whole(path, data, b"X509 CRL", len(lists))
            return [x509.load_pem_x509_crl(each) for each in lists]
    except ValueError:
        pass
    raise SetupError(
        f"{path}: it must have lists of revoked certificates in PEM (-----BEGIN X509 CRL-----)"
    )


def _check_list(
    path: Path,
    revoked: x509.CertificateRevocationList,
    authorities: Sequence[x509.Certificate],
) -> None:
    issuer = repr(revoked.issuer.rfc4514_string() or "no name")
    if not any(
        each.subject == revoked.issuer and _signed(revoked, each.public_key())
        for each in authorities
    ):
        raise SetupError(f"{path}: the list of {issuer} is of none of the clients' authorities")
    now, last = datetime.now(UTC), revoked.next_update_utc
    if last is not None and last < now:
        raise SetupError(f"{path}: the list of {issuer} is out of date since {_time(last)}")


def _signed(revoked: x509.CertificateRevocationList, key: PublicKeyTypes) -> bool:
    try:
        return revoked.is_signature_valid(key)  # type: ignore[arg-type]  # TypeError for others
    except (TypeError, UnsupportedAlgorithm):
        return False


def _read_authorities(path: Path | None) -> bytes | None:
    if path is None:
        return None
    data = _read(path)
    problems = []
    for certificate in _certificates(path, data):
        try:
            _check_time(path, certificate)
        except SetupError as error:
            problems.append(error)
        else:
            return data
    raise problems[0]


def _read_key(path: Path) -> tuple[bytes, PublicKeyTypes]:
    """Return the private key and its public key; other users must not be able to read it."""
    data = _read(path, private=True)
    try:
        private = load_pem_private_key(data, password=None)
    except TypeError:
        raise SetupError(
            f"{path}: the key is encrypted, and the daemon has no password for it; "
            f"decrypt it into a file of mode 0600: openssl pkey -in {path} -out …"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        what = "holds a certificate" if b"-----BEGIN CERTIFICATE" in data else "holds no such key"
        raise SetupError(
            f"{path}: {what}; tls_key_file is a private key in PEM (-----BEGIN PRIVATE KEY-----)"
        ) from None
    return data, private.public_key()


def _certificates(path: Path, data: bytes) -> list[x509.Certificate]:
    try:
        found = x509.load_pem_x509_certificates(data)
    except ValueError:
        what = "holds a private key" if b"PRIVATE KEY-----" in data else "holds none"
        raise SetupError(
            f"{path}: {what}; it must have certificates in PEM (-----BEGIN CERTIFICATE-----)"
        ) from None
    _check_whole(path, data, b"CERTIFICATE", len(found))
    return found


def _check_whole(path: Path, data: bytes, label: bytes, found: int) -> None:
    """Check that all that is in a file was found: what is cut in the middle goes unseen.

    Raises:
        SetupError: there is more, such as while somebody writes the file.
    """
    if not (
        data.count(b"-----BEGIN ") == data.count(b"-----END ")
        and data.count(label + b"-----") == 2 * found
    ):
        raise SetupError(f"{path}: something in it is not whole; write it anew")


def _check_time(path: Path, certificate: x509.Certificate) -> None:
    now = datetime.now(UTC)
    first, last = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if last < now:
        raise SetupError(
            f"{path}: the certificate of {_subject(certificate)} expired on {_time(last)}; renew it"
        )
    if first > now:
        raise SetupError(
            f"{path}: the certificate of {_subject(certificate)} is not valid before "
            f"{_time(first)}, and here it is {_time(now)}; wait, or set the clock"
        )


def _read(path: Path, *, private: bool = False) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            mode = stat.S_IMODE(status.st_mode)
            if private and mode & 0o077:
                raise SetupError(
                    f"{path}: others may use this key (mode {mode:04o}); once they have not, "
                    f"make it private: chmod 600 {path}"
                )
            if private and status.st_uid not in {0, os.geteuid()}:
                raise SetupError(
                    f"{path}: the key belongs to another user (uid {status.st_uid}); "
                    f"chown {os.geteuid()} {path}"
                )
            return file.read()
    except OSError as error:
        raise SetupError(f"{path}: {error.strerror}") from error


def _bytes(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _subject(certificate: x509.Certificate) -> str:
    return repr(certificate.subject.rfc4514_string() or "no name")


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
