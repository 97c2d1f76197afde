"""Secrets as texts: a prefix, which tells people and scanners of leaked secrets what it is, and bytes.

There is one spelling of each: base64 without padding, of bytes whose number three divides.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode

_BASE64 = re.compile(r"(?:[A-Za-z0-9_-]{4})*", re.ASCII)


def write_secret(prefix: str, data: bytes) -> str:
    """Return the text of a secret."""
    return prefix + urlsafe_b64encode(data).decode()


def read_secret(prefix: str, text: str, *, size: int) -> bytes | None:
    """Return the bytes of a secret; None for a text that is not one of this prefix and size."""
    if len(text) != len(prefix) + size // 3 * 4 or not text.startswith(prefix):
        return None
    encoded = text.removeprefix(prefix)
    return urlsafe_b64decode(encoded) if _BASE64.fullmatch(encoded) else None
