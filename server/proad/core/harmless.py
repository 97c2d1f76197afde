"""Texts that guests and processes have written."""

import re

# What is neither text nor a tab: controls, line ends, what turns the direction of a text.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def harmless(text: str) -> str:
    """Return a text with what steers a terminal, or ends a line, replaced."""
    return _CONTROL.sub("\ufffd", text)
