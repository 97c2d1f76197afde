"""Authentication: login, verification of a call's token, logout."""

import hmac
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from proad.auth.client_address import ClientAddressResolver
from proad.auth.client_certificates import ClientCertificates
from proad.auth.fair_queue import FairQueue
from proad.auth.local_users import LocalUsers
from proad.auth.login_limiter import LoginLimiter
from proad.auth.oidc import OidcTokens
from proad.auth.passwords import Passwords, check_password
from proad.auth.service_keys import ServiceKeys
from proad.auth.sessions import Sessions
from proad.auth.timing import AuthTiming
from proad.auth.token_monitor import TokenLease
from proad.auth.token_status import TokenStatusCache
from proad.auth.tokens import Claims, IssuedToken, ShownCertificate, Tokens
from proad.errors import (
    BadCredentialsError,
    ScopeMissingError,
    TokenInvalidError,
    TokenMissingError,
)
from proad.model import Access
from proad.model.scope import Scope
from proad.store.revocations import RevocationStore
from proad.store.users import User, UserStatus, UserStore, check_username

__all__ = ["Authenticator", "Caller", "IssuedToken", "require"]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Caller:
    """The user who makes a call, as the token tells.

    Attributes:
        claims: the token's claims.
        user: status of the user.
    """

    claims: Claims
    user: UserStatus

    @property
    def user_id(self) -> str:
        """Id of the user, which no other user ever has."""
        return self.user.id

    @property
    def username(self) -> str:
        """Name of the user."""
        return self.claims.username

    @property
    def scopes(self) -> frozenset[Scope]:
        """Scopes of the token that the user still has."""
        return self.claims.scopes & self.user.scopes

    @property
    def expire_time(self) -> datetime:
        """Expiry of the token."""
        return self.claims.expire_time


def require(caller: Caller, scope: Scope) -> None:
    """Check that a caller's token has a scope.

    Raises:
        ScopeMissingError: the token lacks the scope.
    """
    if scope not in caller.scopes:
        raise ScopeMissingError(scope, sorted(caller.scopes))


class Authenticator:
    """Issues tokens for passwords, and authenticates calls by their tokens.

    Args:
        users: the store of users.
        revocations: the store of revoked tokens.
        tokens: signs and verifies tokens.
        passwords: hashes and compares passwords.
        sessions: begins and prolongs logins.
        service_keys: issues tokens for service keys.
        oidc: verifies tokens of an issuer; None for none.
        addresses: resolves the address of a caller; by default no proxy is trusted.
        certificates: tells whom client certificates stand for; by default for nobody.
        local_users: issues tokens to users of this host; by default to nobody.
        timing: durations of the cache, the monitor and the pauses.
        clock: monotonic time in seconds, for the cache and the pauses.
    """

    def __init__(
        self,
        *,
        users: UserStore,
        revocations: RevocationStore,
        tokens: Tokens,
        passwords: Passwords,
        sessions: Sessions,
        service_keys: ServiceKeys,
        oidc: OidcTokens | None = None,
        addresses: ClientAddressResolver | None = None,
        certificates: ClientCertificates | None = None,
        local_users: LocalUsers | None = None,
        timing: AuthTiming = AuthTiming(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._users = users
        self._tokens = tokens
        self._passwords = passwords
        self.certificates = certificates or ClientCertificates()
        self.local_users = local_users or LocalUsers(users, tokens)
        self._token_status = TokenStatusCache(
            users, revocations, self.certificates, timing=timing, clock=clock
        )
        self._sessions = sessions
        self._service_keys = service_keys
        self._oidc = oidc
        self._addresses = addresses or ClientAddressResolver()
        self._limiter = LoginLimiter(clock=clock, timing=timing)
        self._queue = FairQueue(concurrency=passwords.threads, priority=self._limiter.priority)
        self._log_key = secrets.token_bytes(32)

    async def settle(self) -> None:
        """Wait for the logins and the writes to the store that are under way."""
        await self._queue.settle()
        await self._service_keys.settle()
        if self._oidc is not None:
            await self._oidc.settle()
        await self._token_status.settle()

    async def create_token(
        self,
        username: str,
        password: str,
        scopes: Sequence[Scope] | None = None,
        *,
        access: Access | None = None,
        peer: str,
        forwarded: Sequence[str] = (),
    ) -> IssuedToken:
        """Issue a token, and begin a session, for a username and password.

        Args:
            username: name of the user.
            password: password of the user.
            scopes: scopes of the token; None or empty for all scopes of the user. A user
                may have none: the token then serves for its own revocation alone.
            access: access of the token; None for that of the user.
            peer: the peer of the connection, as gRPC reports it.
            forwarded: the values of the call's `x-forwarded-for` headers.

        Raises:
            InvalidArgumentError: the name or the password is not a possible one.
            BadCredentialsError: no such user, a wrong password or a disabled user; the error
                does not tell which.
            ScopeMissingError: the user lacks a requested scope.
            AccessMissingError: the user's access is narrower than the requested one.
            TooManyAttemptsError: too many failures for this user, at this or at all addresses.
            TooManyLoginsError: too many logins are queued.
            DatabaseUnreachableError: the user cannot be read.
        """
        username = check_username(username)
        check_password(password)
        address = self.client_address(peer, forwarded)
        self._limiter.check(username, address)
        user = await self._queue.run(
            username, address, lambda: self._log_in(username, password, address)
        )
        grant = user.grant.narrowed(scopes, access, team_id=user.team_id)
        return await self._sessions.begin(user, grant)

    async def create_token_for_key(
        self,
        service_key: str,
        scopes: Sequence[Scope] | None = None,
        *,
        access: Access | None = None,
        peer: str,
        forwarded: Sequence[str] = (),
    ) -> IssuedToken:
        """Issue a token for a service key; see `ServiceKeys.issue`.

        Args:
            service_key: the key.
            scopes: scopes of the token; None or empty for all scopes of the key.
            access: access of the token; None for that of the key.
            peer: the peer of the connection, as gRPC reports it.
            forwarded: the values of the call's `x-forwarded-for` headers.
        """
        address = self.client_address(peer, forwarded)
        return await self._service_keys.issue(service_key, scopes, access=access, address=address)

    async def refresh_token(
        self, refresh_token: str, *, peer: str, forwarded: Sequence[str] = ()
    ) -> IssuedToken:
        """Issue a token, and the next refresh token, for a refresh token; see `Sessions.refresh`.

        Args:
            refresh_token: the refresh token.
            peer: the peer of the connection, as gRPC reports it.
            forwarded: the values of the call's `x-forwarded-for` headers.
        """
        address = self.client_address(peer, forwarded)
        return await self._sessions.refresh(refresh_token, address=address)

    def is_proxy(self, peer: str) -> bool:
        """Return whether the peer of a connection is a trusted proxy."""
        return self._addresses.is_proxy(peer)

    def client_address(self, peer: str, forwarded: Sequence[str] = ()) -> str:
        """Return the address of a caller; see `ClientAddressResolver.resolve`."""
        return self._addresses.resolve(peer, forwarded)

    async def _log_in(self, username: str, password: str, address: str) -> User:
        """Return the user if the password matches, and record the outcome."""
        # Check again after queueing: otherwise logins that are sent all at once would pass
        # the first check before any of them has failed.
        self._limiter.check(username, address)
        user = await self._users.get(username)
        matches = await self._passwords.verify(password, user.password_hash if user else None)
        if user is None or user.disabled or not matches:
            self._limiter.failed(username, address)
            log.warning("login failed", user_digest=self._digest(username), client_address=address)
            raise BadCredentialsError
        self._limiter.succeeded(username, address)
        return user

    def _digest(self, username: str) -> str:
        """Return a digest that tells names apart in the log of this process, and nothing else.

        Users type their password into the field of the name by mistake.
        """
        return hmac.digest(self._log_key, username.encode(), "sha256").hex()[:16]

    async def authenticate(
        self, authorization: str | None, shown: ShownCertificate | None = None
    ) -> Caller:
        """Return the caller whose token a call carries, or whose certificate it was shown.

        A token goes before a certificate, so that a service can pass on the tokens of its own
        callers; one that is not valid is refused, and the certificate does not stand in for it.

        Args:
            authorization: the header `authorization`, "Bearer TOKEN"; None if it is missing.
            shown: the client certificate of the connection; None without one.

        Raises:
            CertificateInvalidError: the certificate expired or was revoked, or its user was
                removed or disabled.
            TokenMissingError: the header is missing or has another scheme.
            TokenInvalidError: the token is not one of ours or of the issuer, or its user was
                removed, disabled or changed since the login.
            TokenExpiredError: the token expired.
            TokenRevokedError: the token was revoked.
            ScopeMissingError: the token is of a known issuer, and stands for nothing here.
            DatabaseUnreachableError: the token's status cannot be read.
        """
        if authorization is None and shown is not None:
            return await self._caller_of(shown)
        scheme, _, token = (authorization or "").strip().partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise TokenMissingError
        try:
            claims = self._tokens.verify(token)
        except TokenInvalidError:
            if self._oidc is None:
                raise
            claims = await self._oidc.verify(token)
        return await self._caller(claims)

    async def _caller_of(self, shown: ShownCertificate) -> Caller:
        """Return the caller whom a certificate stands for."""
        claims = self.certificates.claims(shown)
        if claims is None:
            raise TokenMissingError
        claims.check_time()
        return await self._caller(claims)

    async def _caller(self, claims: Claims) -> Caller:
        """Return the caller whom claims are of, as the user is now.

        Those that know no version of the user, of an issuer or a certificate, get that one: a
        change of the user ends the call, as it does with a token of ours.
        """
        user = await self._token_status.check(claims)
        if claims.version is None:
            claims = replace(claims, version=user.token_version)
        return Caller(claims, user)

    async def check_again(self, caller: Caller) -> None:
        """Check that the caller's token is still valid.

        Raises:
            TokenExpiredError: the token expired.
            TokenInvalidError: the user was removed, disabled or changed since the login.
            TokenRevokedError: the token was revoked.
            DatabaseUnreachableError: the token's status cannot be read.
        """
        caller.claims.check_time()
        await self._token_status.check(caller.claims)

    async def revoke(self, caller: Caller) -> None:
        """Revoke the caller's token, and end the session that it came of.

        Raises:
            TokenMissingError: the call was made by a certificate, and has no token.
            DatabaseUnreachableError: the token may still be valid; try again.
        """
        if caller.claims.certificate is not None:
            raise TokenMissingError
        if caller.claims.session_id:
            await self._sessions.end(caller.claims.session_id)
        await self._token_status.revoke(caller.claims.token_id, caller.claims.expire_time)

    def while_valid(
        self, caller: Caller, *, expires: bool
    ) -> AbstractAsyncContextManager[TokenLease]:
        """Cancel the body once the caller's token is no longer valid.

        That is at once for a revocation by this process, and within two seconds for a change
        by another one. With `expires`, the body is cancelled at the token's expiry, too.

        Raises:
            TokenExpiredError: the token expired.
            TokenRevokedError: the token was revoked.
            TokenInvalidError: the user was removed, disabled or changed since the login.
            DatabaseUnreachableError: the status could not be read for 15 seconds.
        """
        return self._token_status.while_valid(caller.claims, expires=expires)
