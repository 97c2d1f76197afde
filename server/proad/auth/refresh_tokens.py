"""The text of refresh tokens."""

import hmac
from collections.abc import Sequence
from uuid import UUID

from proad.auth.secret_text import read_secret, write_secret
from proad.errors import TokenInvalidError

_PREFIX = "proa_rt_"
_ID_BYTES = 16
_NUMBER_BYTES = 6
_MAC_BYTES = 32
_BYTES = _ID_BYTES + _NUMBER_BYTES + _MAC_BYTES


class RefreshTokens:
    """Makes and reads refresh tokens.

    A refresh token is the id of its session, its number there, and a MAC of both, of 256 bits. So
    the database has nothing from which a token could be made, a made-up token costs no query, and
    the same token comes out where the next one is made a second time.

    Args:
        keys: secrets of the daemon, for this purpose alone; the first one signs, and all of them
            verify.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = keys

    def make(self, session_id: str, number: int) -> str:
        """Return the refresh token with a number."""
        content = UUID(session_id).bytes + number.to_bytes(_NUMBER_BYTES, "big")
        return write_secret(_PREFIX, content + _mac(self._keys[0], content))

    def session_id(self, token: str) -> str:
        """Return the id of the session that a token claims to be of.

        Raises:
            TokenInvalidError: the text is no refresh token.
        """
        return str(UUID(bytes=_data(token)[:_ID_BYTES]))

    def number(self, token: str) -> int:
        """Return the number of a token in its session.

        Raises:
            TokenInvalidError: the token is not one of ours.
        """
        data = _data(token)
        content, mac = data[:-_MAC_BYTES], data[-_MAC_BYTES:]
        if not any(hmac.compare_digest(_mac(key, content), mac) for key in self._keys):
            raise TokenInvalidError
        return int.from_bytes(content[_ID_BYTES:], "big")


def _mac(key: bytes, content: bytes) -> bytes:
    return hmac.digest(key, content, "sha256")


def _data(token: str) -> bytes:
    data = read_secret(_PREFIX, token, size=_BYTES)
    if data is None:
        raise TokenInvalidError
    return data
