from datetime import UTC, datetime, timedelta

import pytest

from proad.auth.keys import KeyRing
from proad.auth.passwords import Passwords
from proad.auth.refresh_tokens import RefreshTokens
from proad.auth.service import Authenticator
from proad.auth.service_keys import ServiceKeys
from proad.auth.sessions import Sessions
from proad.auth.tokens import Tokens
from proad.model.scope import Scope
from proad.store.database import Database
from proad.store.revocations import RevocationStore
from proad.store.service_keys import ServiceKeyStore
from proad.store.sessions import SessionStore
from proad.store.users import UserStore

PASSWORDS = {"ann": "correct horse", "bob": "battery staple", "eve": "nothing"}
DAEMON = "00000000-0000-4000-8000-00000000000d"
SCOPES = {"ann": list(Scope), "bob": [Scope.BASIC], "eve": []}


class Clock:
    """Monotonic time that a test moves."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def database(tmp_path):
    async with Database.open(f"sqlite:///{tmp_path}/proa.db") as database:
        yield database


@pytest.fixture
def passwords():
    with Passwords(cost=4) as passwords:
        yield passwords


@pytest.fixture
async def users(database, passwords):
    users = UserStore(database)
    for name, password in PASSWORDS.items():
        await users.add(name, await passwords.hash(password), SCOPES[name])
    return users


@pytest.fixture
def make_tokens(tmp_path):
    """Return a signer of tokens with some lifetime; all have the same keys."""
    ring = KeyRing.open(tmp_path / "keys")

    def make(lifetime=timedelta(minutes=30)):
        return Tokens(ring, issuer="proa", audience="proa", lifetime=lifetime)

    return make


@pytest.fixture
def tokens(make_tokens):
    return make_tokens()


class Now:
    """The time of the day, which a test moves."""

    def __init__(self):
        self.ahead = timedelta()

    def __call__(self):
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def now():
    return Now()


@pytest.fixture
def store(database):
    return SessionStore(database, DAEMON)


@pytest.fixture
def keys(database):
    return ServiceKeyStore(database)


@pytest.fixture
def make_sessions(store, users, tokens, clock, now):
    """Return sessions; arguments replace those of the fixtures."""

    def make(**arguments):
        keys = RefreshTokens([b"k" * 32])
        defaults = {"store": store, "users": users, "tokens": tokens, "refresh_tokens": keys}
        return Sessions(**defaults | {"clock": clock, "now": now} | arguments)

    return make


@pytest.fixture
def make_authenticator(users, database, tokens, passwords, clock, make_sessions, keys):
    """Return an authenticator; arguments replace those of the fixtures."""

    def make(**arguments):
        defaults = {
            "users": users,
            "revocations": RevocationStore(database),
            "tokens": tokens,
            "passwords": passwords,
            "sessions": make_sessions(),
            "service_keys": ServiceKeys(keys, users, tokens, clock=clock),
            "clock": clock,
        }
        return Authenticator(**defaults | arguments)

    return make


@pytest.fixture
def authenticator(make_authenticator):
    return make_authenticator()


@pytest.fixture
def login(authenticator):
    async def login(name="ann", password=None, scopes=None, peer="unix:"):
        password = PASSWORDS[name] if password is None else password
        return await authenticator.create_token(name, password, scopes, peer=peer)

    return login
