"""An issuer, and an authenticator that accepts its tokens."""

import pytest

from issuer import AUDIENCE, ISSUER, Issuer
from proad.auth.oidc import IssuerKeys, OidcTokens
from proad.config import OidcSettings
from proad.store.identities import IdentityStore
from unit.auth.oidc.signing_keys import EC, ED, RSA

RULES = [
    {"claim": "groups", "value": "admins", "scopes": ["basic", "advanced"], "access": "all"},
    {"claim": "groups", "value": "operators", "scopes": ["basic"], "profile": "desktop"},
]


class Source:
    def __init__(self, issuer):
        self.issuer = issuer

    async def read(self):
        return self.issuer.jwks()


@pytest.fixture
def issuer():
    return Issuer(EC, RSA, ED)


@pytest.fixture
def make_oidc(issuer, database, clock):
    def make(**values):
        usual = {
            "issuer": ISSUER,
            "audience": AUDIENCE,
            "jwks_file": "/nowhere",
            "rule": RULES,
        }
        settings = OidcSettings(**usual | values)
        keys = IssuerKeys(Source(issuer), settings.algorithms, clock=clock)
        return OidcTokens(settings, keys, IdentityStore(database))

    return make


@pytest.fixture
def authenticator(make_authenticator, make_oidc):
    return make_authenticator(oidc=make_oidc())


@pytest.fixture
def accepted(authenticator):
    async def accepted(token):
        return await authenticator.authenticate(f"Bearer {token}")

    return accepted
