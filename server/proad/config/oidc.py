"""Settings of an OpenID Connect issuer, whose tokens are accepted."""

import ipaddress
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from proad.config.paths import AbsolutePath
from proad.model import DEFAULT_PROFILE, Access
from proad.model.scope import Scope

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]
"""An asymmetric algorithm of signatures."""

_Text = Annotated[str, Field(min_length=1, max_length=255)]


class OidcRule(BaseModel):
    """What the holders of a claim may do. The first rule whose claim a token has decides.

    Attributes:
        claim: name of a claim, or its path with dots, such as "realm_access.roles".
        value: the value of the claim, an item of its list, or a word of "scope" and "scp".
        scopes: scopes of the token.
        access: whose resources the user may see and change.
        profile: name of the user's profile in the policy.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    claim: _Text
    value: _Text
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1)]
    access: Access = Access.OWN
    profile: _Text = DEFAULT_PROFILE


class OidcSettings(BaseModel):
    """The `[oidc]` table.

    Attributes:
        issuer: the claim `iss` of its tokens, exactly.
        audience: the claim `aud` of tokens for this daemon, or one item of it.
        jwks_url: where the issuer's public keys are; https, or http on loopback.
        jwks_file: a file with them instead.
        jwks_ca_file: the authorities of the certificate behind `jwks_url`, in PEM; None for those
            of the host.
        algorithms: the algorithms that are accepted.
        token_types: the header `typ` of its tokens; one without counts as "JWT".
        authorized_parties: the claim `azp`, or `client_id`, of its tokens; empty: any.
        rules: what claims stand for, by the first that fits. Named `rule` in the file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    issuer: _Text
    audience: _Text
    jwks_url: str | None = None
    jwks_file: AbsolutePath | None = None
    jwks_ca_file: AbsolutePath | None = None
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = ("RS256", "ES256", "EdDSA")
    token_types: Annotated[tuple[_Text, ...], Field(min_length=1)] = ("at+jwt", "JWT")
    authorized_parties: tuple[_Text, ...] = ()
    rules: Annotated[tuple[OidcRule, ...], Field(alias="rule", min_length=1)]

    @model_validator(mode="after")
    def _check_keys(self) -> Self:
        if (self.jwks_url is None) == (self.jwks_file is None):
            raise ValueError("set jwks_url or jwks_file, one of them")
        if self.jwks_url is not None:
            _check_url(self.jwks_url)
        return self


def _check_url(text: str) -> None:
    try:
        url = urlsplit(text)
        host, _ = url.hostname, url.port
    except ValueError:
        host = None
    if not host or not text.isascii() or url.username is not None:
        raise ValueError("jwks_url: give an address such as https://issuer.example/certs")
    if url.scheme == "https" or (url.scheme == "http" and _is_loopback(host)):
        return
    raise ValueError("jwks_url: must begin with https://, or lead to a loopback address")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
