"""Settings as the file has them."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from proad.config.settings import Settings
from proad.policy import Policy, Profile

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def as_toml(settings: Settings) -> str:
    """Return a TOML file with all settings as they count, without credentials of URLs.

    Of a profile it has the settings that differ from the ceiling, or from those of a profile that
    states nothing.
    """
    # What `allowed_registries` above the policy says is in the policy.
    values = settings.model_dump(
        by_alias=True, exclude_none=True, exclude={"allowed_registries", "policy"}
    )
    values["policy"] = _policy(settings.policy)
    return "".join(f"{line}\n" for line in _table((), values))


def _policy(policy: Policy) -> Mapping[str, Any]:
    ceiling = policy.model_dump(exclude={"profiles"})
    unstated = Profile().within(policy).model_dump()
    profiles = {
        name: {
            key: value
            for key, value in profile.model_dump().items()
            if value != ceiling[key] or value != unstated[key]
        }
        for name, profile in policy.effective().items()
    }
    return {**ceiling, "profiles": profiles}


def _table(path: tuple[str, ...], values: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a table: its values, and the tables in it."""
    tables = {key: value for key, value in values.items() if _is_table(value)}
    for key, value in values.items():
        if key not in tables:
            yield f"{_key(key)} = {_value(value)}"
    for key, value in tables.items():
        below = (*path, key)
        name = ".".join(map(_key, below))
        for each in (value,) if isinstance(value, Mapping) else value:
            if each is not value:
                yield from ("", f"[[{name}]]")
            elif not each or not all(map(_is_table, each.values())):
                yield from ("", f"[{name}]")
            yield from _table(below, each)


def _is_table(value: object) -> bool:
    if isinstance(value, tuple):
        return bool(value) and isinstance(value[0], Mapping)
    return isinstance(value, Mapping)


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _value(name)


def _value(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case float() if value.is_integer():
            return str(int(value))
        case int() | float():
            return str(value)
        case tuple() | list():
            return f"[{', '.join(map(_value, value))}]"
        case set() | frozenset():
            return _value(sorted(value))
        case _:
            return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
