"""The daemon itself."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Feature(StrEnum):
    """What this daemon can do, and another one of the same contract may not."""

    REQUEST_IDS = "REQUEST_IDS"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """Limits that a caller may have to know."""

    max_page_size: int
    max_request_bytes: int
    token_lifetime: timedelta
    request_retention: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerInfo:
    """A daemon: its version, its present run, its features and limits."""

    version: str
    epoch: str
    start_time: datetime
    features: tuple[Feature, ...] = tuple(Feature)
    limits: ServerLimits
