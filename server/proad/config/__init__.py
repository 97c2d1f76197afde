"""The daemon's settings: environment variables override a TOML file, which overrides defaults.

The variable of a setting is its name in capitals after `PROA_`.
"""

from proad.config.certificates import ClientCertificateSettings, TlsFiles
from proad.config.hosts import DEFAULT_HOST, HostSettings, VirtTypeSetting
from proad.config.listen import ListenAddress, TcpAddress, UnixAddress, parse_listen_address
from proad.config.loading import ConfigError, example, load_settings
from proad.config.local_users import LocalUserSettings
from proad.config.oidc import OidcRule, OidcSettings
from proad.config.secret_url import SecretUrl
from proad.config.settings import (
    DEFAULT_LISTEN,
    LONGEST_TOKEN_LIFETIME,
    AuditSync,
    LogFormat,
    LogLevel,
    Settings,
)
from proad.config.writing import as_toml

__all__ = [
    "DEFAULT_HOST",
    "DEFAULT_LISTEN",
    "LONGEST_TOKEN_LIFETIME",
    "AuditSync",
    "ClientCertificateSettings",
    "ConfigError",
    "HostSettings",
    "ListenAddress",
    "LocalUserSettings",
    "LogFormat",
    "LogLevel",
    "OidcRule",
    "OidcSettings",
    "SecretUrl",
    "Settings",
    "TcpAddress",
    "TlsFiles",
    "UnixAddress",
    "VirtTypeSetting",
    "as_toml",
    "example",
    "load_settings",
    "parse_listen_address",
]
