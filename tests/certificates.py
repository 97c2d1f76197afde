"""An authority that issues certificates to tests, of servers and of callers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import proa

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Issued:
    """A certificate, the intermediates above it, and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    above: Sequence[x509.Certificate] = ()

    @property
    def chain(self) -> bytes:
        certificates = (self.certificate, *self.above)
        return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)

    @property
    def pem_key(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def write(self, folder: Path, name: str) -> None:
        """Write `name.crt`, and `name.key` with mode 0600; replace what is there."""
        (folder / f"{name}.crt").write_bytes(self.chain)
        (folder / f"{name}.key").touch(mode=0o600)
        (folder / f"{name}.key").write_bytes(self.pem_key)


class Authority:
    """An authority, by default one that nobody stands above."""

    def __init__(
        self,
        name: str = "authority",
        above: "Authority | None" = None,
        end: timedelta = 2 * DAY,
    ) -> None:
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._above: Sequence[x509.Certificate] = ()
        builder = self._builder(self.name, self._key, -DAY, end).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        issuer, signing = (above.name, above._key) if above else (self.name, self._key)
        self.certificate = builder.issuer_name(issuer).sign(signing, hashes.SHA256())
        if above:
            self._above = (self.certificate, *above._above)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    def issue(
        self,
        name: str = "somebody",
        *alternatives: x509.GeneralName,
        begin: timedelta = -DAY,
        end: timedelta = DAY,
        odd_names: bytes = b"",
    ) -> Issued:
        """Issue a certificate whose common name is `name`.

        Args:
            odd_names: alternative names in DER, in place of others.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        builder = self._builder(subject, key, begin, end).issuer_name(self.name)
        if alternatives:
            builder = builder.add_extension(
                x509.SubjectAlternativeName(alternatives), critical=False
            )
        if odd_names:
            kind = x509.SubjectAlternativeName.oid
            builder = builder.add_extension(x509.UnrecognizedExtension(kind, odd_names), False)
        return Issued(builder.sign(self._key, hashes.SHA256()), key, self._above)

    def signed_by(self, other: Issued) -> x509.Certificate:
        """Return a certificate of this authority's own key, by one who is no authority."""
        builder = self._builder(self.name, self._key, -DAY, DAY).issuer_name(
            other.certificate.subject
        )
        builder = builder.add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        return builder.sign(other.key, hashes.SHA256())

    def server(self) -> Issued:
        """Issue a certificate for a server on this host."""
        loopback = x509.IPAddress(IPv4Address("127.0.0.1"))
        return self.issue("localhost", x509.DNSName("localhost"), loopback)

    def revoke(self, *revoked: Issued, begin: timedelta = -DAY, end: timedelta = DAY) -> bytes:
        """Return a list of revoked certificates."""
        now = datetime.now(UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.name)
            .last_update(now + begin)
            .next_update(now + end)
        )
        for each in revoked:
            entry = (
                x509.RevokedCertificateBuilder()
                .serial_number(each.certificate.serial_number)
                .revocation_date(now + begin)
                .build()
            )
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)

    @staticmethod
    def _builder(
        subject: x509.Name, key: ec.EllipticCurvePrivateKey, begin: timedelta, end: timedelta
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + begin)
            .not_valid_after(now + end)
        )


def client_tls(folder: Path, authority: Authority, shown: Issued | None = None) -> proa.TLS:
    """Return what a client of a server of `authority` needs, with files in a folder."""
    (folder / "servers.crt").write_bytes(authority.pem)
    if shown is None:
        return proa.TLS(ca_file=folder / "servers.crt")
    name = f"client-{shown.certificate.serial_number}"
    shown.write(folder, name)
    return proa.TLS(
        ca_file=folder / "servers.crt",
        cert_file=folder / f"{name}.crt",
        key_file=folder / f"{name}.key",
    )
