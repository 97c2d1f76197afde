"""Loading of the settings, once, at the start. Nothing else reads the environment."""

import os
import tomllib
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import EnvSettingsSource

from proad.config.hosts import DEFAULT_HOST, LOCAL
from proad.config.settings import VARIABLE_PREFIX, Settings
from proad.errors import SetupError

# Fields of a host with a variable, which applies to the host named `local`.
_LOCAL_VARIABLES = {
    key: VARIABLE_PREFIX + key.upper()
    for key in ("docker_url", "libvirt_uri", "virt_type", "media_dirs")
}

# Settings that are tables, and have no variable.
_TABLES = frozenset({"hosts", "client_certificates", "local_users", "oidc", "policy"})

# Variables of the client, its commands, the build and the tests, which a shell may set.
OTHER_VARIABLES = frozenset(
    VARIABLE_PREFIX + name
    for name in (
        *("CONFIG", "TARGET", "TOKEN", "USERNAME", "PASSWORD", "TLS_CA", "TLS_CERT", "TLS_KEY"),
        *("SERVICE_KEY", "SERVICE_KEY_FILE", "COMMAND_ID"),
        *("REQUIRE_ENGINES", "UPDATE_GOLDEN"),
    )
)


class ConfigError(SetupError):
    """A setting is invalid or unknown, or the file cannot be read."""


class _Environment(EnvSettingsSource):
    """The `PROA_…` variables; tables have none."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        if field_name in _TABLES:
            return None, field_name, False
        return super().get_field_value(field, field_name)


def load_settings(config: Path | None) -> Settings:
    """Load the settings.

    Args:
        config: the TOML file; None for environment and defaults alone.

    Raises:
        ConfigError: settings are invalid; one line per mistake with its origin, key and cause.
    """
    values = _read(config) if config else {}
    values |= _Environment(Settings)()
    lines = _unknown_variables()
    try:
        values |= _local_host(values.get("host"))
        settings = Settings(**values)
    except ValidationError as error:
        lines += [_describe(detail, config) for detail in error.errors(include_url=False)]
        raise ConfigError("\n".join(line for line in lines if line)) from None
    if lines:
        raise ConfigError("\n".join(lines))
    return settings


def example() -> str:
    """Return a commented configuration file with the default of every setting."""
    return (resources.files("proad.config") / "proa.example.toml").read_text(encoding="utf-8")


def _read(config: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(config.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{config}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{config}: not TOML: {error}") from None


def setting_variables() -> set[str]:
    """Return the names of all variables that are settings."""
    plain = {VARIABLE_PREFIX + name.upper() for name in Settings.model_fields.keys() - _TABLES}
    return plain | set(_LOCAL_VARIABLES.values())


def _unknown_variables() -> list[str]:
    """Return a line for each `PROA_…` variable that is no setting."""
    known = setting_variables()
    lines = []
    for name in sorted(os.environ):
        upper = name.upper()
        if not upper.startswith(VARIABLE_PREFIX) or upper in known | OTHER_VARIABLES:
            continue
        names = [variable.removeprefix(VARIABLE_PREFIX) for variable in known]
        near = get_close_matches(upper.removeprefix(VARIABLE_PREFIX), names, n=1)
        hint = f"; did you mean {VARIABLE_PREFIX}{near[0]}?" if near else ""
        lines.append(f"{name}: unknown variable{hint}")
    return lines


def _local_host(tables: object) -> dict[str, Any]:
    """Return the hosts with the variables of the host `local` applied."""
    over = {
        key: os.environ[variable]
        for key, variable in _LOCAL_VARIABLES.items()
        if variable in os.environ
    }
    if not over.get("virt_type", "auto"):
        del over["virt_type"]  # an empty variable counts as unset, but an empty URL as "no engine"
    if not over:
        return {}
    if tables is None:
        return {"host": [DEFAULT_HOST.model_dump() | over]}
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        return {}  # the validation of the tables has a better message
    if all(table.get("name", LOCAL) != LOCAL for table in tables):
        raise ConfigError(
            f"{_LOCAL_VARIABLES[next(iter(over))]}: is for the host {LOCAL!r}, "
            "and the configuration has no such [[host]]"
        )
    return {
        "host": [table | over if table.get("name", LOCAL) == LOCAL else table for table in tables]
    }


def _describe(error: ErrorDetails, config: Path | None) -> str:
    """Return origin, key and cause of a mistake; empty if it follows from another."""
    if error["type"] == "default_factory_not_called":
        return ""
    if error["type"] == "too_short" and error["input"]:  # existing items are invalid
        return ""
    key = ".".join(str(part) for part in error["loc"])
    variable = VARIABLE_PREFIX + str(error["loc"][-1] if error["loc"] else "").upper()
    where = str(config) if config else "settings"
    if variable in os.environ:
        where, key = variable, ""
    what = "unknown key" if error["type"] == "extra_forbidden" else error["msg"]
    what = what.removeprefix("Value error, ")
    return ": ".join(part for part in (where, key, what) if part)
