"""What an engine says, as the driver reads it."""

from typing import Any

from proad.drivers.docker import full_view, summary_view
from proad.drivers.tolerant import Omissions, Value
from proad.model import Lifetime, Resource

ID = "ab" * 32


def said(answer: Any) -> Value:
    """Return an answer as one about the container `ID`."""
    return Value(answer, Omissions("docker"), ID)


def full(answer: Any) -> Resource:
    """Return the FULL view of an inspect."""
    return full_view.full(said(answer), ID)


def summary(answer: Any, lifetime: Lifetime = Lifetime.PERSISTENT) -> Resource:
    """Return the SUMMARY of an entry of a list."""
    return summary_view.summary(said(answer), ID, lifetime)
