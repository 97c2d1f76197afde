"""Durations in settings: seconds, or a text such as "30m"."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|)")
_UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}


def _duration(value: object) -> object:
    """Parse seconds or a text such as "30m"; leave other values to pydantic."""
    if isinstance(value, str):
        if match := _DURATION.fullmatch(value.strip()):
            return timedelta(seconds=float(match[1]) * _UNIT_SECONDS[match[2]])
        raise ValueError('give seconds, or a text such as "30s", "30m", "1h"')
    return value


def _written(value: timedelta) -> str:
    """Return a duration in the notation of the file and the variables."""
    seconds = value.total_seconds()
    for unit in ("h", "m"):
        if seconds and seconds % _UNIT_SECONDS[unit] == 0:
            return f"{seconds / _UNIT_SECONDS[unit]:.0f}{unit}"
    return f"{seconds:.10g}s"


Duration = Annotated[timedelta, BeforeValidator(_duration), PlainSerializer(_written)]
