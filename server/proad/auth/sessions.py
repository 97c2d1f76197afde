"""Sessions: logins that refresh tokens prolong."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import structlog

from proad.auth.login_limiter import LoginLimiter
from proad.auth.refresh_tokens import RefreshTokens
from proad.auth.timing import AuthTiming
from proad.auth.tokens import IssuedToken, Tokens
from proad.errors import (
    DatabaseUnreachableError,
    TokenExpiredError,
    TokenInvalidError,
    TokenRevokedError,
)
from proad.model.grant import Grant
from proad.store.sessions import Session, SessionStore
from proad.store.users import User, UserStore

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLimits:
    """How long a login lasts.

    Attributes:
        idle: time after its last use at which a session ends; zero: there are no sessions.
        lifetime: time after the login at which a session ends, however much it is used.
    """

    idle: timedelta = timedelta(hours=12)
    lifetime: timedelta = timedelta(days=7)


class Sessions:
    """Begins, prolongs and ends sessions.

    A use of a refresh token makes the next one, and ends the one before. For a grace period the
    use may be repeated, and then gives the same refresh token again: an answer can be lost, and
    two processes can share a login. Any other use of an old token ends the session.

    Args:
        store: the store of sessions.
        users: the store of users.
        tokens: issues tokens.
        refresh_tokens: makes and reads refresh tokens.
        limits: how long sessions last.
        timing: the grace period, and the pauses after refused refresh tokens.
        clock: monotonic time in seconds, for the pauses.
        now: time of the day, in UTC.
    """

    def __init__(
        self,
        store: SessionStore,
        users: UserStore,
        tokens: Tokens,
        refresh_tokens: RefreshTokens,
        *,
        limits: SessionLimits = SessionLimits(),
        timing: AuthTiming = AuthTiming(),
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._users = users
        self._tokens = tokens
        self._refresh_tokens = refresh_tokens
        self._limits = limits
        self._grace = timing.refresh_grace
        self._clock_step = timing.clock_step
        # Of its own: made-up ids of sessions must not displace the failures of users.
        self._limiter = LoginLimiter(clock=clock, timing=timing)
        self._now = now

    async def begin(self, user: User, grant: Grant) -> IssuedToken:
        """Begin the session of a login, and return its first token.

        While the database takes no writes, as on a full disk, the token has no session: whoever
        makes room there must be able to log in.
        """
        now = self._now()
        session = Session(
            id=str(uuid4()),
            user_id=user.id,
            token_version=user.token_version,
            grant=grant,
            number=0,
            create_time=now,
            use_time=now,
            expire_time=self._expiry(now, now),
        )
        if session.expire_time > now:
            try:
                await self._store.add(session)
            except DatabaseUnreachableError:
                _log.warning("login without a refresh token: the database takes no writes")
            else:
                return self._issue(user, session)
        return self._tokens.issue_to(user, grant)

    async def refresh(self, token: str, *, address: str) -> IssuedToken:
        """Return a new token, and the next refresh token, for a refresh token.

        Args:
            token: the refresh token.
            address: the address of the caller.

        Raises:
            TokenInvalidError: the refresh token is not one of ours, its session has ended, or its
                user was removed, disabled or changed since the login.
            TokenExpiredError: the session expired.
            TokenRevokedError: the refresh token has been used before; its session has ended.
            TooManyAttemptsError: too many refused refresh tokens of this session.
            DatabaseUnreachableError: the session cannot be read or prolonged.
        """
        id = self._refresh_tokens.session_id(token)
        self._limiter.check(id, address)
        try:
            number = self._refresh_tokens.number(token)
            while (issued := await self._try_refresh(id, number, address)) is None:
                pass  # another call was faster: look what it made of the session
        except (TokenInvalidError, TokenExpiredError, TokenRevokedError):
            self._limiter.failed(id, address)
            raise
        self._limiter.succeeded(id, address)
        return issued

    async def end(self, session_id: str) -> None:
        """End a session, and all tokens that came of it.

        Raises:
            DatabaseUnreachableError: the session goes on; try again.
        """
        await self._store.end(session_id, revoked_until=self._now() + self._tokens.lifetime)

    async def _try_refresh(self, id: str, number: int, address: str) -> IssuedToken | None:
        """Return what a refresh gives; None if the session has changed meanwhile."""
        session = await self._store.get(id)
        if session is None:
            raise TokenInvalidError
        now = self._now()
        if session.expire_time <= now:
            raise TokenExpiredError
        user = await self._users.by_id(session.user_id)
        if user is None or user.disabled or user.token_version != session.token_version:
            await self.end(id)
            raise TokenInvalidError
        if number == session.number:
            changed = await self._store.advance(
                session, use_time=now, expire_time=self._expiry(session.create_time, now)
            )
            return None if changed is None else self._issue(user, changed)
        # The clock may have been set back since.
        if (
            number == session.number - 1
            and -self._clock_step <= now - session.use_time <= self._grace
        ):
            return self._issue(user, session)
        await self.end(id)
        _log.warning(
            "refresh token used again, session ended",
            subject=user.name,
            session=id,
            client_address=address,
        )
        raise TokenRevokedError

    def _expiry(self, login: datetime, use: datetime) -> datetime:
        return min(use + self._limits.idle, login + self._limits.lifetime)

    def _issue(self, user: User, session: Session) -> IssuedToken:
        """Return a token that allows no more than the login did and the user may."""
        issued = self._tokens.issue_to(
            user,
            session.grant.within(user.grant),
            session_id=session.id,
            not_after=session.create_time + self._limits.lifetime,
        )
        return replace(
            issued,
            refresh_token=self._refresh_tokens.make(session.id, session.number),
            refresh_expire_time=session.expire_time,
        )
