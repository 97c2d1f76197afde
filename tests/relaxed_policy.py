"""A policy that denies next to nothing, for tests of what a policy is not about.

Tests of the policy itself use the default one, or relax one setting of it.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from proad.policy import Policy, Profile

_ANYWHERE = ("0.0.0.0/0", "::/0")
_OF_LISTS = {
    "bind_roots": ("/",),
    "disk_roots": ("/",),
    "publish_addresses": _ANYWHERE,
    "display_addresses": _ANYWHERE,
}
_KEPT = frozenset({"allowed_registries", "shared_volumes"})
"""Settings that do not stand in anybody's way, and that tests relax by themselves."""


def _relaxed() -> Mapping[str, object]:
    """Return every setting of a profile with a value that allows all."""
    relaxed: dict[str, object] = {"foreign": "full"}
    for name, value in Profile():
        if name in relaxed or name in _KEPT:
            continue
        if isinstance(value, bool):
            relaxed[name] = True
        elif isinstance(value, tuple):
            relaxed[name] = _OF_LISTS.get(name, ("*",))
        elif isinstance(value, str):
            relaxed[name] = ""
        elif isinstance(value, int | float):
            relaxed[name] = 0
    return relaxed


_SETTINGS = _relaxed()

RELAXED: Mapping[str, object] = MappingProxyType(
    {**_SETTINGS, "profiles": {"default": dict(_SETTINGS)}}
)
"""The table `[policy]`: all is allowed to everybody, and nothing is filled in."""

RELAXED_POLICY = Policy.model_validate(RELAXED)


SHARED_NETWORKS: Mapping[str, object] = MappingProxyType(
    {
        "allow_shared_networks": True,
        "profiles": {"default": {"allow_shared_networks": True}},
    }
)
"""The default policy, but for the networks of tenants."""


def write_config(folder: Path) -> Path:
    """Write a configuration file with the relaxed policy alone, and return its path.

    The folder is made if it does not exist.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "relaxed.toml"
    table = "\n".join(f"{name} = {_toml(value)}" for name, value in _SETTINGS.items())
    path.write_text(f"[policy]\n{table}\n[policy.profiles.default]\n{table}\n")
    return path


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return f'"{value}"' if isinstance(value, str) else str(value)
