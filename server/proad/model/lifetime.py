"""The lifetime of a resource."""

from enum import StrEnum


class Lifetime(StrEnum):
    """Whether a resource outlives its own stop (`docker run --rm`, transient domains)."""

    PERSISTENT = "PERSISTENT"
    TRANSIENT = "TRANSIENT"
