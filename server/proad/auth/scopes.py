"""Scopes: what a token allows."""

from collections.abc import Iterable
from enum import StrEnum


class Scope(StrEnum):
    """What a caller may do. Membership is exact: ADVANCED does not imply BASIC."""

    BASIC = "basic"
    ADVANCED = "advanced"


def write_scopes(scopes: Iterable[Scope]) -> str:
    """Give scopes as a token and the database have them: each once, with spaces between."""
    held = set(scopes)
    return " ".join(scope for scope in Scope if scope in held)


def read_scopes(text: str) -> frozenset[Scope]:
    """Read what `write_scopes` gave. Raises ValueError for an unknown scope."""
    return frozenset(Scope(word) for word in text.split())
