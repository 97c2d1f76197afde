"""Answers of an engine, and their conversion by the driver."""

from typing import Any

from proad.drivers.docker import full_view, summary_view
from proad.drivers.tolerant import NOTHING, Omissions, Value
from proad.model import Resource

ID = "ab" * 32
NEVER = "0001-01-01T00:00:00Z"


def to_value(answer: Any) -> Value:
    """Return an answer as one about the container `ID`."""
    return Value(answer, Omissions("docker"), ID)


def full(answer: Any, image: Any = None) -> Resource:
    """Return the FULL view of an inspect; `image`: the configuration of the image."""
    return full_view.full(to_value(answer), ID, NOTHING if image is None else to_value(image))


def summary(answer: Any) -> Resource:
    """Return the SUMMARY of an entry of a list."""
    return summary_view.summary(to_value(answer), ID)


def inspected(**parts: dict[str, Any]) -> dict[str, Any]:
    """Return an inspect with these parts, or more in them."""
    answer: dict[str, Any] = {
        "Id": ID,
        "Created": "2026-01-02T03:04:05.123456789Z",
        "Path": "sleep",
        "Args": ["1"],
        "Name": "/web",
        "Image": "sha256:1",
        "State": {"Status": "running", "Running": True, "ExitCode": 0, "StartedAt": NEVER},
        "HostConfig": {},
        "Config": {"Image": "debian:12"},
        "NetworkSettings": {},
    }
    for key, part in parts.items():
        answer[key] = {**answer.get(key, {}), **part}
    return answer


def listed(**parts: Any) -> dict[str, Any]:
    """Return an entry of a list with these parts."""
    return {
        "Id": ID,
        "Names": ["/web"],
        "Image": "debian:12",
        "ImageID": "sha256:1",
        "Command": "sleep 1",
        "Created": 1_767_323_045,
        "State": "running",
        "Status": "Up 3 seconds",
        **parts,
    }
