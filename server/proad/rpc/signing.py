"""Signatures of resume tokens and page tokens, which callers send back."""

import hmac
from collections.abc import Sequence
from hashlib import sha256

# Half of a SHA-256: nobody guesses 128 bits, and the tokens stay short.
LENGTH = 16


class Signer:
    """Signs with HMAC-SHA256.

    Args:
        keys: secrets of the daemon, for this purpose alone; the first one signs, and all
            of them verify.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = keys

    def bound_to(self, *bound: bytes) -> "BoundSigner":
        """Return a signer of contents that are valid only with `bound`: purpose, user, request."""
        # Each part with its length, so that no two lists of parts have the same prefix.
        prefix = b"".join(len(part).to_bytes(8, "big") + part for part in bound)
        return BoundSigner([hmac.new(key, prefix, sha256) for key in self._keys])


class BoundSigner:
    """Signs and verifies contents that are bound to the same parts; see `Signer.bound_to`."""

    def __init__(self, begun: Sequence[hmac.HMAC]) -> None:
        self._begun = begun

    def sign(self, content: bytes) -> bytes:
        """Return the signature of `content`, of `LENGTH` bytes."""
        return _signature(self._begun[0], content)

    def verifies(self, content: bytes, signature: bytes) -> bool:
        """Return whether `signature` is a signature of `content`."""
        return any(
            hmac.compare_digest(_signature(begun, content), signature) for begun in self._begun
        )


def _signature(begun: hmac.HMAC, content: bytes) -> bytes:
    # The bound parts are hashed already: a copy costs less than to hash them again.
    mac = begun.copy()
    mac.update(content)
    return mac.digest()[:LENGTH]
