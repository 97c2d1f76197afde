"""The tokens of `proa login`, in a file that only its owner can read."""

import json
import os
from dataclasses import dataclass
from pathlib import Path


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

    def get(self, target: str) -> str | None:
        """Return the token for a target; None without a login there."""
        return self._read().get(target)

    def keep(self, target: str, token: str) -> None:
        """Store a token in place of the previous one."""
        self._write({**self._read(), target: token})

    def drop(self, target: str) -> None:
        """Remove the token for a target."""
        self._write({key: token for key, token in self._read().items() if key != target})

    def _read(self) -> dict[str, str]:
        try:
            tokens = json.loads(self.path.read_text())
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise ValueError(f"{self.path} is damaged; delete it and log in again") from error
        return {str(key): str(token) for key, token in tokens.items()}

    def _write(self, tokens: dict[str, str]) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123 - with a mode
            json.dump(tokens, file, indent=2)
        fresh.replace(self.path)
