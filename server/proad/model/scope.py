"""Scopes: the permissions of a token."""

from collections.abc import Iterable
from enum import StrEnum


class Scope(StrEnum):
    """A permission. Membership is exact: no scope implies another."""

    BASIC = "basic"
    ADVANCED = "advanced"
    AUDIT = "audit"


def write_scopes(scopes: Iterable[Scope]) -> str:
    """Return scopes as tokens and the database store them: unique and separated by spaces."""
    held = set(scopes)
    return " ".join(scope for scope in Scope if scope in held)


def read_scopes(text: str) -> frozenset[Scope]:
    """Return the scopes in a text of `write_scopes`. Raises ValueError for an unknown scope."""
    return frozenset(Scope(word) for word in text.split())
