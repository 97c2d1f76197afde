"""The logins of `proa login`, in a file that only its owner can read."""

import fcntl
import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from proa import v1
from proa.errors import Unauthenticated
from proa.local_login import LocalLogin
from proa.timing import ClientTiming
from proa.tokens import Refresh, TokenResponse, renew_in


@dataclass(frozen=True)
class StoredToken:
    """A token of a login, and what renews it. Times are in ISO 8601; empty: none is known.

    Attributes:
        token: the token.
        renew_time: when to renew the token.
        refresh_token: gives the next token; empty: only another login does.
        login_socket: gives the next token in its place; empty: none does.
        username: the user whom the login socket was asked for; empty: none by name.
        scopes: numbers of the scopes that it was asked for, with commas; empty: all.
        refresh_expire_time: when the login ends, unless it is used before.
    """

    token: str = field(repr=False)
    renew_time: str = ""
    refresh_token: str = field(default="", repr=False)
    refresh_expire_time: str = ""
    login_socket: str = ""
    username: str = ""
    scopes: str = ""

    @classmethod
    def of(cls, response: TokenResponse, local: LocalLogin | None = None) -> "StoredToken":
        """Return the token of a response, and its login socket; see `proa.tokens.CachedToken`."""
        left = renew_in(response, ClientTiming().renewal_margin)
        renew = "" if left == math.inf else (_now() + timedelta(seconds=left)).isoformat()
        expires = response.refresh_expire_time.ToDatetime(UTC) if response.refresh_token else ""
        stored = cls(response.token, renew, response.refresh_token, str(expires))
        if local is None:
            return stored
        scopes = ",".join(map(str, local.scopes))
        return replace(stored, login_socket=local.path, username=local.username, scopes=scopes)

    @classmethod
    def read(cls, entry: Any) -> "StoredToken":
        """Return the token of an entry of the file. Earlier versions wrote the token alone."""
        if isinstance(entry, str):
            return cls(entry)
        known = {name: str(entry[name]) for name in cls.__dataclass_fields__ if name in entry}
        return cls(**known)

    def serves(self, refused: str | None) -> bool:
        """Return whether the token can be used, or nothing can renew it."""
        if not (self.refresh_token or self.login_socket):
            return True
        due = self.renew_time and datetime.fromisoformat(self.renew_time) <= _now()
        return not due and self.token != refused

    def until_renewal(self, token: str | None) -> float | None:
        """Return the seconds until a token is to be renewed, 0: it was; None: nothing renews it."""
        if token != self.token:
            return 0.0
        if not (self.renew_time and (self.refresh_token or self.login_socket)):
            return None
        left = datetime.fromisoformat(self.renew_time) - _now()
        return max(0.0, left.total_seconds())

    def renewed(self, refresh: Refresh) -> "StoredToken":
        """Return the next token. Raises proa.Error if the login is over."""
        if self.login_socket:
            scopes = tuple(v1.Scope.ValueType(int(each)) for each in self.scopes.split(",") if each)
            local = LocalLogin(self.login_socket, self.username, scopes)
            return StoredToken.of(local.log_in(), local)
        return StoredToken.of(refresh(v1.RefreshTokenRequest(refresh_token=self.refresh_token)))


@dataclass(frozen=True)
class TokenFile:
    """Tokens by target.

    Attributes:
        path: the file; created with its folder when the first token is stored.
    """

    path: Path

    @classmethod
    def of_user(cls) -> "TokenFile":
        """Return the file of this user, in $XDG_STATE_HOME/proa."""
        state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        return cls(Path(state) / "proa" / "tokens.json")

    def get(self, target: str) -> StoredToken | None:
        """Return the token for a target; None without a login there."""
        return self._read().get(target)

    def keep(self, target: str, token: StoredToken) -> None:
        """Store a token in place of the previous one."""
        with self._locked():
            self._write({**self._read(), target: token})

    def drop(self, target: str) -> None:
        """Remove the token for a target."""
        with self._locked():
            self._write({key: token for key, token in self._read().items() if key != target})

    def renewed(self, target: str, refused: str | None, refresh: Refresh) -> StoredToken | None:
        """Return the token for a target, renewed if need be; None without a login there.

        One process at a time renews: what another has renewed meanwhile is taken.
        """
        with self._locked():
            tokens = self._read()
            token = tokens.get(target)
            if token is None or token.serves(refused):
                return token
            try:
                token = token.renewed(refresh)
            except Unauthenticated:
                return token  # the login is over: the call itself will say so
            self._write({**tokens, target: token})
            return token

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other processes from changing the file."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def _read(self) -> dict[str, StoredToken]:
        try:
            tokens = json.loads(self.path.read_text())
            return {str(key): StoredToken.read(entry) for key, entry in tokens.items()}
        except FileNotFoundError:
            return {}
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"{self.path} is damaged; delete it and log in again") from error

    def _write(self, tokens: dict[str, StoredToken]) -> None:
        fresh = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123 - with a mode
            json.dump({key: asdict(token) for key, token in tokens.items()}, file, indent=2)
        fresh.replace(self.path)


@dataclass(frozen=True)
class FileLogin:
    """The login at one target, which all commands of the user share; a `proa.tokens.StoredLogin`.

    Attributes:
        file: the file of logins.
        target: the target.
    """

    file: TokenFile
    target: str

    def token(self, refused: str | None, refresh: Refresh) -> str | None:
        """Return the token for a call; None without a login."""
        stored = self.file.get(self.target)
        if stored is not None and not stored.serves(refused):
            stored = self.file.renewed(self.target, refused, refresh)
        return None if stored is None else stored.token

    def until_renewal(self, token: str | None) -> float | None:
        """Return the seconds until a token is to be renewed, 0: it was; None: nothing renews it."""
        stored = self.file.get(self.target)
        return None if stored is None else stored.until_renewal(token)


def _now() -> datetime:
    return datetime.now(UTC)
