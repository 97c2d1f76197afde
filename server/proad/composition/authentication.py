"""Authentication: who calls, and with which scopes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proad.auth.client_address import ClientAddressResolver
from proad.auth.client_certificates import ClientCertificates
from proad.auth.keys import KeyRing
from proad.auth.local_users import LocalUsers
from proad.auth.oidc import (
    IssuerKeys,
    JwksFile,
    JwksUnreadableError,
    JwksUrl,
    OidcTokens,
    read_keys,
)
from proad.auth.passwords import Passwords
from proad.auth.refresh_tokens import RefreshTokens
from proad.auth.service import Authenticator
from proad.auth.service_keys import ServiceKeys
from proad.auth.sessions import SessionLimits, Sessions
from proad.auth.timing import AuthTiming
from proad.auth.tokens import Tokens
from proad.config import OidcSettings, Settings
from proad.errors import SetupError
from proad.state import daemon_id
from proad.store.database import Database
from proad.store.identities import IdentityStore
from proad.store.revocations import RevocationStore
from proad.store.service_keys import ServiceKeyStore
from proad.store.sessions import SessionStore
from proad.store.users import UserStore
from proad.tls import read_client_trust


@asynccontextmanager
async def authenticating(
    settings: Settings, database: Database, keys: KeyRing, timing: AuthTiming = AuthTiming()
) -> AsyncIterator[Authenticator]:
    """Compose an authenticator; at the end, wait for the logins under way."""
    with Passwords() as passwords:
        users = UserStore(database)
        tokens = Tokens(
            keys,
            issuer=settings.token_issuer,
            audience=settings.token_audience,
            lifetime=settings.token_lifetime,
            timing=timing,
        )
        authenticator = Authenticator(
            users=users,
            revocations=RevocationStore(database),
            tokens=tokens,
            passwords=passwords,
            sessions=Sessions(
                SessionStore(database, daemon_id(settings.state_dir)),
                users,
                tokens,
                RefreshTokens(keys.derived("refresh tokens")),
                limits=SessionLimits(
                    idle=settings.refresh_token_idle, lifetime=settings.refresh_token_lifetime
                ),
                timing=timing,
            ),
            service_keys=ServiceKeys(ServiceKeyStore(database), users, tokens, timing=timing),
            oidc=_oidc(settings.oidc, database, timing) if settings.oidc else None,
            addresses=ClientAddressResolver(settings.trusted_proxies),
            certificates=ClientCertificates(
                read_client_trust(settings.tls), settings.client_certificates
            ),
            local_users=LocalUsers(users, tokens, settings.local_users),
            timing=timing,
        )
        try:
            yield authenticator
        finally:
            await authenticator.settle()


def _oidc(settings: OidcSettings, database: Database, timing: AuthTiming) -> OidcTokens:
    """Compose the verifier of an issuer's tokens. Raises SetupError for a file that is no key set."""
    source: JwksFile | JwksUrl
    if settings.jwks_file is not None:
        source = JwksFile(settings.jwks_file)
        try:
            if not read_keys(source.read_now(), settings.algorithms):
                raise SetupError(f"{settings.jwks_file}: has no key that could be used")
        except JwksUnreadableError as error:
            raise SetupError(str(error)) from error
    else:
        source = JwksUrl(settings.jwks_url or "", ca_file=settings.jwks_ca_file, timing=timing)
    keys = IssuerKeys(source, settings.algorithms, timing=timing)
    return OidcTokens(settings, keys, IdentityStore(database), timing=timing)
