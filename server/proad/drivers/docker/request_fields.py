"""The field of a request that a refusal is about."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from proad.drivers.docker.refusals import DockerRefusal
from proad.model import ContainerSpec, ImageFilter, ResourceUpdate

Wish = ContainerSpec | ResourceUpdate | ImageFilter
"""What requests ask for."""
_AT: Mapping[type[Wish], str] = {
    ContainerSpec: "spec.",
    ResourceUpdate: "container.",
    ImageFilter: "",
}
# What the engine puts before the values that it was given.
_ADDED = re.compile(r"CAP_|RLIMIT_|CONTAINER:")


@dataclass(frozen=True, slots=True)
class RequestFields:
    """The fields of a request, by their paths in its message."""

    wish: Wish

    def blamed(self, row: DockerRefusal, found: re.Match[str]) -> tuple[str, Any] | None:
        """Return the path and the value of the field that caused the refusal, if there is one."""
        named = found.groupdict().get("value")
        for field in row.fields:
            if at := self._find(field, named):
                return at
        last = row.fields[-1] if row.fields else "[]"
        if not isinstance(self.wish, ContainerSpec) or "[]" in last:
            return None
        return f"spec.{last}", None  # what is not set is the image's, and can be set

    def _find(self, field: str, named: str | None) -> tuple[str, Any] | None:
        prefix = _AT[type(self.wish)]
        head, element, rest = field.partition("[]")
        value = _inner(self._given(head), head)
        if not element:
            return (prefix + head, value) if value else None
        values = [_inner(each, rest.removeprefix(".")) for each in value or ()]
        index = _index(values, named)
        return None if index is None else (f"{prefix}{head}[{index}]{rest}", values[index])

    def _given(self, field: str) -> Any:
        """Return where a field has its value: in an update, only if the update changes it."""
        if not isinstance(self.wish, ResourceUpdate):
            return self.wish
        named = {field, field.partition(".")[0]} & self.wish.paths
        return self.wish.spec if named else None


def _index(values: Sequence[Any], named: str | None) -> int | None:
    """Return which value the engine named; where it names none, the first that is set."""
    for index, value in enumerate(values):
        if _plain(value) == _plain(named) if named is not None else value:
            return index
    return None


def _inner(whole: Any, path: str) -> Any:
    for name in filter(None, path.split(".")):
        whole = getattr(whole, name, None)
    return whole


def _plain(value: Any) -> str:
    return _ADDED.sub("", str(value).upper(), count=1)
