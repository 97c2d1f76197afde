"""Patterns by which command lines with secrets are known."""

import re

SECRET_PATTERNS = (
    r"(?i)passw|passphrase|passcode|secret|token|credential|bearer|authorization",
    r"(?i)(api|access|private)[-_]?key|-----BEGIN",
    r"(?i)(pass|pwd|auth)\s*[=:]",
    # A password in a URL.
    r"://[^/\s:@]*:[^/\s@]+@",
)
"""What a command line has that carries a secret, as far as a pattern can tell."""


def check_pattern(value: str) -> str:
    """Return a regular expression. Raise ValueError for any other text."""
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from None
    return value
