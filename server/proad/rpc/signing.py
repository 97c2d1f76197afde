"""Signatures on what callers keep for the daemon: resume tokens and page tokens."""

import hmac
from collections.abc import Sequence
from hashlib import sha256

# Half of a SHA-256: nobody guesses 128 bits, and the tokens stay short.
LENGTH = 16


class Signer:
    """Signs with HMAC-SHA256.

    Args:
        keys: secrets of the daemon, for this purpose alone; the first one signs, and all
            are good for verification.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = keys

    def bound_to(self, *bound: bytes) -> "BoundSigner":
        """Make the signer of what is bound to all of `bound`: user, request, purpose."""
        # Each with its length, so that no two lists of them read the same.
        prefix = b"".join(len(part).to_bytes(8, "big") + part for part in bound)
        return BoundSigner([hmac.new(key, prefix, sha256) for key in self._keys])


class BoundSigner:
    """Signs and verifies what is bound to the same; see `Signer.bound_to`."""

    def __init__(self, begun: Sequence[hmac.HMAC]) -> None:
        self._begun = begun

    def sign(self, content: bytes) -> bytes:
        """Give the signature of `content`, of 16 bytes."""
        return _signature(self._begun[0], content)

    def verifies(self, content: bytes, signature: bytes) -> bool:
        """Tell whether `signature` is one of `content`."""
        return any(
            hmac.compare_digest(_signature(begun, content), signature) for begun in self._begun
        )


def _signature(begun: hmac.HMAC, content: bytes) -> bytes:
    # What is bound has been read already: a copy costs less than to read it again.
    mac = begun.copy()
    mac.update(content)
    return mac.digest()[:LENGTH]
