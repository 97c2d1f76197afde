"""Service keys: tokens for programs, without a password."""

import hmac
import secrets
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from uuid import UUID, uuid4

import structlog

from proad.auth.fair_queue import FairQueue
from proad.auth.login_limiter import LoginLimiter
from proad.auth.secret_text import read_secret, write_secret
from proad.auth.timing import AuthTiming
from proad.auth.tokens import IssuedToken, Tokens
from proad.errors import BadServiceKeyError, DatabaseUnreachableError
from proad.model import Access
from proad.model.scope import Scope
from proad.store.service_keys import ServiceKey, ServiceKeyStore
from proad.store.users import User, UserStore

_log = structlog.get_logger(__name__)

_PREFIX = "proa_sk_"
_ID_BYTES = 16
_SECRET_BYTES = 32

# Keys that are looked up at a time: strangers may ask for as many as they like.
_CONCURRENCY = 2


@dataclass(frozen=True, slots=True)
class KeyText:
    """The text of a service key: its id and its secret.

    Attributes:
        id: id of the key.
        secret: 256 random bits.
    """

    id: str
    secret: bytes = field(repr=False)

    @classmethod
    def new(cls) -> "KeyText":
        """Make a key."""
        return cls(str(uuid4()), secrets.token_bytes(_SECRET_BYTES))

    @classmethod
    def read(cls, text: str) -> "KeyText":
        """Read a key. Raises BadServiceKeyError if the text cannot be one."""
        data = read_secret(_PREFIX, text, size=_ID_BYTES + _SECRET_BYTES)
        if data is None:
            raise BadServiceKeyError
        return cls(str(UUID(bytes=data[:_ID_BYTES])), data[_ID_BYTES:])

    def write(self) -> str:
        """Return the text, a secret."""
        return write_secret(_PREFIX, UUID(self.id).bytes + self.secret)

    @property
    def digest(self) -> bytes:
        """Digest of the secret. A fast one: nobody guesses 256 random bits."""
        return sha256(self.secret).digest()


class ServiceKeys:
    """Issues tokens for service keys.

    Args:
        store: the store of keys.
        users: the store of users.
        tokens: issues tokens.
        timing: the pauses after refused keys.
        clock: monotonic time in seconds, for the pauses.
    """

    def __init__(
        self,
        store: ServiceKeyStore,
        users: UserStore,
        tokens: Tokens,
        *,
        timing: AuthTiming = AuthTiming(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._users = users
        self._tokens = tokens
        # Of their own: made-up ids of keys must not displace the failures and logins of users.
        self._limiter = LoginLimiter(clock=clock, timing=timing)
        self._queue = FairQueue(concurrency=_CONCURRENCY, priority=self._limiter.priority)

    async def settle(self) -> None:
        """Wait for the lookups that are under way."""
        await self._queue.settle()

    async def issue(
        self,
        text: str,
        scopes: Collection[Scope] | None,
        *,
        access: Access | None = None,
        address: str,
    ) -> IssuedToken:
        """Issue a token for a service key.

        Args:
            text: the key.
            scopes: scopes of the token; None or empty for all that the key has.
            access: access of the token; None for that of the key.
            address: the address of the caller.

        Raises:
            BadServiceKeyError: there is no such key, it has expired, or its user is disabled; the
                error does not tell which.
            ScopeMissingError: the key, or its user, lacks a wanted scope.
            AccessMissingError: the key, or its user, has a narrower access than the wanted one.
            TooManyAttemptsError: too many failures with this key.
            TooManyLoginsError: too many keys wait to be looked up.
            DatabaseUnreachableError: the key cannot be read.
        """
        given = KeyText.read(text)
        self._limiter.check(given.id, address)
        key, user = await self._queue.run(given.id, address, lambda: self._look_up(given, address))
        grant = key.grant.within(user.grant).narrowed(scopes, access, team_id=user.team_id)
        return self._tokens.issue_to(user, grant, session_id=key.id, not_after=key.expire_time)

    async def _look_up(self, given: KeyText, address: str) -> tuple[ServiceKey, User]:
        key = await self._store.get(given.id)
        user = await self._users.by_id(key.user_id) if key else None
        if (
            key is None
            or user is None
            or user.disabled
            or not hmac.compare_digest(key.digest, given.digest)
            or (key.expire_time is not None and key.expire_time <= datetime.now(UTC))
        ):
            self._limiter.failed(given.id, address)
            _log.warning("service key refused", key=given.id, client_address=address)
            raise BadServiceKeyError
        self._limiter.succeeded(given.id, address)
        try:
            await self._store.note_use(key)
        except DatabaseUnreachableError:
            _log.warning("use of a service key not noted: the database takes no writes")
        return key, user
