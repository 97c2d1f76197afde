"""Who is calling: logging in, recognising a caller, logging out."""

import hmac
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Self

import structlog

from proad.auth.client_address import ClientAddressResolver
from proad.auth.fair_queue import FairQueue
from proad.auth.keys import KeyRing
from proad.auth.login_limiter import LoginLimiter
from proad.auth.passwords import Passwords, check_password
from proad.auth.scopes import Scope
from proad.auth.token_status import TokenStatusCache
from proad.auth.tokens import Claims, IssuedToken, Tokens
from proad.config import Settings
from proad.errors import (
    BadCredentialsError,
    ScopeMissingError,
    TokenMissingError,
)
from proad.store.database import Database
from proad.store.revocations import RevocationStore
from proad.store.users import User, UserStore, check_username

__all__ = ["Authenticator", "Caller", "IssuedToken", "require"]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a call, and what their token allows.

    Attributes:
        claims: what the token says.
    """

    claims: Claims

    @property
    def username(self) -> str:
        """Their name."""
        return self.claims.username

    @property
    def scopes(self) -> frozenset[Scope]:
        """What they may do."""
        return self.claims.scopes

    @property
    def expire_time(self) -> datetime:
        """When the token ends."""
        return self.claims.expire_time


def require(caller: Caller, scope: Scope) -> None:
    """Do nothing if the caller's token carries the scope.

    Raises:
        ScopeMissingError: it does not.
    """
    if scope not in caller.scopes:
        raise ScopeMissingError(scope, sorted(caller.scopes))


class Authenticator:
    """Gives tokens for passwords, and tells whose token a call carries.

    Args:
        users: who there is.
        revocations: tokens that are no longer good.
        tokens: signs and verifies.
        passwords: hashes and compares.
        addresses: tells from where a login comes.
        clock: seconds that never go back, for pauses after failed logins.
    """

    def __init__(
        self,
        *,
        users: UserStore,
        revocations: RevocationStore,
        tokens: Tokens,
        passwords: Passwords,
        addresses: ClientAddressResolver | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._users = users
        self._tokens = tokens
        self._passwords = passwords
        self._token_status = TokenStatusCache(users, revocations)
        self._addresses = addresses or ClientAddressResolver()
        self._limiter = LoginLimiter(clock=clock)
        self._queue = FairQueue(concurrency=passwords.threads, priority=self._limiter.priority)
        self._log_key = secrets.token_bytes(32)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: Settings, database: Database, keys: KeyRing
    ) -> AsyncIterator[Self]:
        """Make one from the settings, and at the end let it finish what it does."""
        tokens = Tokens(
            keys,
            issuer=settings.token_issuer,
            audience=settings.token_audience,
            lifetime=settings.token_lifetime,
        )
        with Passwords() as passwords:
            authenticator = cls(
                users=UserStore(database),
                revocations=RevocationStore(database),
                tokens=tokens,
                passwords=passwords,
                addresses=ClientAddressResolver(settings.trusted_proxies),
            )
            try:
                yield authenticator
            finally:
                await authenticator._queue.settle()
                await authenticator._token_status.settle()

    async def create_token(
        self,
        username: str,
        password: str,
        scopes: Sequence[Scope] | None = None,
        *,
        peer: str,
        forwarded: Sequence[str] = (),
    ) -> IssuedToken:
        """Give a token to whoever knows the password.

        Args:
            username: who wants it.
            password: theirs.
            scopes: what it shall carry; None or empty: all that the user was granted,
                which may be nothing. Such a token can only be given back.
            peer: where the call comes from, as gRPC says it.
            forwarded: where it came from before, as proxies say: `x-forwarded-for`.

        Raises:
            InvalidArgumentError: nobody can have this name or this password.
            BadCredentialsError: no such user, wrong password, or disabled: never said which.
            ScopeMissingError: a scope was asked for that the user was not granted.
            TooManyAttemptsError: too many failures for this user, there or at all addresses.
            TooManyLoginsError: too many logins wait for their turn.
            DatabaseUnreachableError: nobody can tell.
        """
        username = check_username(username)
        check_password(password)
        address = self.client_address(peer, forwarded)
        self._limiter.check(username, address)
        user = await self._queue.run(
            username, address, lambda: self._log_in(username, password, address)
        )
        wanted = frozenset(scopes) if scopes else user.scopes
        if missing := sorted(wanted - user.scopes):
            raise ScopeMissingError(missing[0], sorted(user.scopes))
        return self._tokens.issue(user.name, wanted, user.token_version)

    def client_address(self, peer: str, forwarded: Sequence[str] = ()) -> str:
        """Return where a call comes from, past the proxies that are trusted; see `ClientAddressResolver.resolve`."""
        return self._addresses.resolve(peer, forwarded)

    async def _log_in(self, username: str, password: str, address: str) -> User:
        """Return the user whose password it is, and note how it went."""
        # Once more, when the turn has come: logins that were sent all at once must not
        # pass before the first of them has failed.
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
        """Return what tells a name apart in this process' log, and no more than that.

        People type their password where the name belongs.
        """
        return hmac.digest(self._log_key, username.encode(), "sha256").hex()[:16]

    async def authenticate(self, authorization: str | None) -> Caller:
        """Tell whose token a call carries.

        Args:
            authorization: the header of this name, "Bearer TOKEN"; None: there is none.

        Raises:
            TokenMissingError: the header is missing or of another scheme.
            TokenInvalidError: the token is not ours, or its user is gone, disabled or
                was changed since.
            TokenExpiredError: its time is over.
            TokenRevokedError: it was given back.
            DatabaseUnreachableError: nobody can tell.
        """
        scheme, _, token = (authorization or "").strip().partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise TokenMissingError
        claims = self._tokens.verify(token)
        await self._token_status.check(claims)
        return Caller(claims)

    async def check_again(self, caller: Caller) -> None:
        """Do nothing if the caller's token is still good.

        Raises:
            TokenExpiredError: its time is over.
            TokenInvalidError: its user is gone, disabled or was changed since.
            TokenRevokedError: it was given back.
            DatabaseUnreachableError: nobody can tell.
        """
        caller.claims.check_time()
        await self._token_status.check(caller.claims)

    async def revoke(self, caller: Caller) -> None:
        """End the token that the caller came with.

        Raises:
            DatabaseUnreachableError: it may be good still; try again.
        """
        await self._token_status.revoke(caller.claims.token_id, caller.claims.expire_time)

    def while_valid(self, caller: Caller, *, expires: bool) -> AbstractAsyncContextManager[None]:
        """End what is done in the context when the caller's token is no longer good.

        That is at once when it is revoked here, and within two seconds when another process
        changes its user. With `expires`, it ends with the token's time, too.

        Raises:
            TokenExpiredError: the time is over.
            TokenRevokedError: it was given back.
            TokenInvalidError: its user is gone, disabled or was changed since.
            DatabaseUnreachableError: nobody could tell for a quarter of a minute.
        """
        return self._token_status.while_valid(caller.claims, expires=expires)
