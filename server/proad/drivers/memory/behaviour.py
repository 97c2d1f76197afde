"""How an imitated workload behaves, as its labels say."""

from collections.abc import Mapping
from dataclasses import dataclass

from proad.errors import InvalidArgumentError
from proad.model import ResourceState

IGNORES_STOP = "proa.memory/ignores-stop"
STOP_AFTER = "proa.memory/stop-after"
STARTS_AS = "proa.memory/starts-as"

_STOP_AFTER_LIMIT = 3600.0
_STARTS_AS = {
    str(state): state
    for state in (
        ResourceState.RUNNING,
        ResourceState.STARTING,
        ResourceState.SUSPENDED,
        ResourceState.STOPPING,
        ResourceState.FAILED,
        ResourceState.OTHER,
    )
}


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a workload does.

    Attributes:
        ignores_stop: it is deaf to every graceful request.
        stop_after: seconds from a graceful request until it ends or reboots.
        starts_as: the state that its first start brings it to.
    """

    ignores_stop: bool = False
    stop_after: float = 0.0
    starts_as: ResourceState = ResourceState.RUNNING

    @classmethod
    def of(cls, labels: Mapping[str, str]) -> "Behaviour":
        """Read the labels. Raises InvalidArgumentError where one makes no sense."""
        ignores_stop = labels.get(IGNORES_STOP, "false")
        if ignores_stop not in {"true", "false"}:
            raise _wrong(IGNORES_STOP, "'true' or 'false'")
        starts_as = labels.get(STARTS_AS, str(ResourceState.RUNNING))
        if starts_as not in _STARTS_AS:
            raise _wrong(STARTS_AS, f"one of {', '.join(_STARTS_AS)}")
        return cls(ignores_stop == "true", _seconds(labels), _STARTS_AS[starts_as])


def _seconds(labels: Mapping[str, str]) -> float:
    expected = f"seconds from 0 to {_STOP_AFTER_LIMIT:g}, such as 0.2"
    try:
        seconds = float(labels.get(STOP_AFTER, "0"))
    except ValueError:
        raise _wrong(STOP_AFTER, expected) from None
    if not 0.0 <= seconds <= _STOP_AFTER_LIMIT:  # NaN is not either
        raise _wrong(STOP_AFTER, expected)
    return seconds


def _wrong(label: str, expected: str) -> InvalidArgumentError:
    return InvalidArgumentError.of("labels", f"the memory driver wants {label} to be {expected}")
