"""Settings of the certificates: the daemon's own, and those of its callers."""

import re
from pathlib import Path
from typing import Annotated, Self

from cryptography import x509
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from proad.config.listen import ListenAddress, parse_optional_listen_addresses
from proad.model.scope import Scope
from proad.store.users import fold_username

_ALTERNATIVE_NAME = re.compile(r"(dns|uri|email|ip):\S{1,2048}")


class TlsFiles(BaseModel):
    """PEM files of the listening side.

    Attributes:
        client_ca_file: authority of callers' certificates (mTLS); None if callers need none.
        client_crl_file: the authority's lists of revoked certificates; None for none.
    """

    model_config = ConfigDict(frozen=True)

    cert_file: Path
    key_file: Path
    client_ca_file: Path | None
    client_crl_file: Path | None = None


class ClientCertificateSettings(BaseModel):
    """One `[[client_certificate]]` table: a certificate, and the user whom it stands for.

    Attributes:
        san: an alternative name of the certificate, after its kind: dns:, uri:, email: or ip:.
        subject: the whole subject of a certificate without alternative names, as in RFC 4514.
        user: name of the user.
        scopes: the scopes of its calls, as far as the user has them; None: all of the user's.
        listen: the addresses at which it stands for the user; empty: all of them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    san: str | None = None
    subject: str | None = None
    user: Annotated[str, Field(min_length=1, max_length=64), AfterValidator(fold_username)]
    scopes: frozenset[Scope] | None = None
    listen: Annotated[
        tuple[ListenAddress, ...], BeforeValidator(parse_optional_listen_addresses)
    ] = ()

    def is_for(self, address: str) -> bool:
        """Return whether the certificate stands for the user at an address of the daemon."""
        return not self.listen or address in map(str, self.listen)

    @model_validator(mode="after")
    def _check_name(self) -> Self:
        if (self.san is None) == (self.subject is None):
            raise ValueError("needs either san or subject, and not both")
        if self.san is not None and not _ALTERNATIVE_NAME.fullmatch(self.san):
            raise ValueError(
                f"{self.san!r} is no alternative name: write its kind before it, such as "
                "dns:backend.example, uri:spiffe://example/backend, email:… or ip:…"
            )
        if self.subject is not None:
            try:
                empty = not list(x509.Name.from_rfc4514_string(self.subject))
            except ValueError:
                empty = True
            if empty:
                raise ValueError(f"{self.subject!r} is no subject such as CN=backend,O=Example")
        return self
