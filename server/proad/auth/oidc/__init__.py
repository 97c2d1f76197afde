"""Tokens of an OpenID Connect issuer."""

from proad.auth.oidc.keys import IssuerKeys, read_keys
from proad.auth.oidc.sources import JwksFile, JwksUnreadableError, JwksUrl
from proad.auth.oidc.tokens import OidcTokens

__all__ = [
    "IssuerKeys",
    "JwksFile",
    "JwksUnreadableError",
    "JwksUrl",
    "OidcTokens",
    "read_keys",
]
