"""Client certificates: whom a caller's certificate stands for."""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from proad.auth.tokens import Claims, ShownCertificate
from proad.config import ClientCertificateSettings, Settings
from proad.model.scope import Scope
from proad.reload import Prepared
from proad.tls import ClientTrust, read_client_trust

_log = structlog.get_logger(__name__)

_MAX_KNOWN = 1000
_MAX_CHAIN = 8
_UNREADABLE = (
    ValueError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
_KINDS: Mapping[type, str] = {
    x509.DNSName: "dns",
    x509.RFC822Name: "email",
    x509.UniformResourceIdentifier: "uri",
    x509.IPAddress: "ip",
}


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What is known of a certificate.

    Attributes:
        claims: whom the certificate stands for; None: for nobody.
        revoked: whether the certificate, or one above it, is on a list of revoked ones.
    """

    claims: Claims | None = None
    revoked: bool = False


class ClientCertificates:
    """Tells whom a certificate stands for, by the names in it that its authority vouches for.

    A certificate with alternative names is known by these alone, and never by its subject: who
    may ask an authority for a certificate often chooses the common name freely.

    gRPC has verified each certificate, but at the handshake: a connection may be older than the
    authorities and the lists that are in force. So they are held against each certificate here.

    Args:
        trust: the authorities, and the lists of revoked certificates.
        mapping: which certificates stand for which users.
    """

    settings = frozenset({"client_certificates", "tls_client_crl_file"})

    def __init__(
        self,
        trust: ClientTrust | None = None,
        mapping: Sequence[ClientCertificateSettings] = (),
    ) -> None:
        self._trust = trust
        self._mapping = mapping
        self._known: OrderedDict[ShownCertificate, _Verdict] = OrderedDict()

    @property
    def identify_callers(self) -> bool:
        """Whether a certificate may stand for a user."""
        return self._trust is not None and bool(self._mapping)

    @property
    def may_be_revoked(self) -> bool:
        """Whether there are lists of revoked certificates."""
        return self._trust is not None and bool(self._trust.revoked)

    def claims(self, shown: ShownCertificate) -> Claims | None:
        """Return what a certificate claims, as a token does; None if it stands for nobody."""
        return self._verdict(shown).claims

    def revoked(self, shown: ShownCertificate) -> bool:
        """Return whether a certificate, or one above it, is revoked."""
        return self._verdict(shown).revoked

    def prepare(self, settings: Settings) -> Prepared:
        """Read the authorities and the lists."""
        trust, mapping = read_client_trust(settings.tls), settings.client_certificates

        def take_over() -> None:
            self._trust, self._mapping = trust, mapping
            self._known.clear()

        before = self._trust.revoked if self._trust else frozenset()
        now = trust.revoked if trust else frozenset()
        changed = frozenset({"tls_client_crl_file"}) if before != now else frozenset[str]()
        return Prepared(take_over, changed)

    def _verdict(self, shown: ShownCertificate) -> _Verdict:
        found = self._known.get(shown)
        if found is None:
            found = self._known[shown] = self._judge(shown)
            if len(self._known) > _MAX_KNOWN:
                self._known.popitem(last=False)
        return found

    def _judge(self, shown: ShownCertificate) -> _Verdict:
        if self._trust is None:
            return _Verdict()
        try:
            certificate = x509.load_pem_x509_certificate(shown.certificate)
            above = x509.load_pem_x509_certificates(shown.chain) if shown.chain else []
            path = _path(certificate, above, self._trust.authorities)
            if any(
                (each.issuer, each.serial_number) in self._trust.revoked
                for each in path or (certificate,)
            ):
                return _Verdict(revoked=True)
            return _Verdict(self._claims(path, shown) if path else None)
        except _UNREADABLE as error:
            _log.warning("client certificate cannot be read", cause=str(error))
            return _Verdict()

    def _claims(self, path: Sequence[x509.Certificate], shown: ShownCertificate) -> Claims | None:
        certificate = path[0]
        found = [
            each
            for each in self._mapping
            if each.is_for(shown.address) and _stands(certificate, each)
        ]
        users = {each.user for each in found}
        if len(users) != 1:
            if users:
                _log.warning("client certificate of several users", users=sorted(users))
            return None
        wanted = [each.scopes for each in found]
        return Claims(
            username=found[0].user,
            scopes=frozenset().union(*(frozenset(Scope) if w is None else w for w in wanted)),
            token_id=f"certificate-{hashlib.sha256(shown.certificate).hexdigest()[:32]}",
            version=None,
            # Handshakes from then on fail.
            expire_time=min(each.not_valid_after_utc for each in path),
            certificate=shown,
        )


def _path(
    certificate: x509.Certificate,
    above: Sequence[x509.Certificate],
    authorities: Sequence[x509.Certificate],
) -> list[x509.Certificate]:
    """Return a certificate and those above it, up to an authority; empty if there is no way."""
    path = [certificate]
    while len(path) <= _MAX_CHAIN:
        last = path[-1]
        if last in authorities:
            return path
        for each in (*authorities, *above):
            if each not in path and _may_issue(each, authorities) and _issued(last, each):
                path.append(each)
                break
        else:
            return []
    return []


def _may_issue(certificate: x509.Certificate, authorities: Sequence[x509.Certificate]) -> bool:
    """Return whether a certificate is one of an authority, as handshakes check it, too."""
    of = certificate.extensions.get_extension_for_class
    try:
        if not of(x509.BasicConstraints).value.ca:
            return False
    except x509.ExtensionNotFound:
        if certificate not in authorities:  # an old one may lack what tells
            return False
    try:
        return of(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        return True


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _stands(certificate: x509.Certificate, mapped: ClientCertificateSettings) -> bool:
    """Return whether a certificate has the name that is mapped."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return mapped.subject is not None and (
            x509.Name.from_rfc4514_string(mapped.subject) == certificate.subject
        )
    names = {f"{kind}:{name.value}" for name in extension.value if (kind := _KINDS.get(type(name)))}
    return mapped.san is not None and mapped.san in names
