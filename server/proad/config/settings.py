"""The settings and their validation."""

import os
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from proad.config.certificates import ClientCertificateSettings, TlsFiles
from proad.config.durations import Duration
from proad.config.hosts import DEFAULT_HOST, HostSettings
from proad.config.listen import (
    ListenAddress,
    TcpAddress,
    UnixAddress,
    parse_listen_addresses,
    parse_optional_listen_addresses,
)
from proad.config.local_users import LocalUserSettings, SocketPath
from proad.config.oidc import OidcSettings
from proad.config.paths import AbsoluteFile, AbsolutePath
from proad.config.proxies import Proxy, parse_proxies
from proad.config.secret_patterns import SECRET_PATTERNS, check_pattern
from proad.config.secret_url import SecretUrl
from proad.policy import Policy
from proad.policy.bounds import ANY, Registries, texts
from proad.store.url import async_url, sqlite_url

VARIABLE_PREFIX = "PROA_"
LONGEST_TOKEN_LIFETIME = timedelta(hours=24)
DEFAULT_LISTEN = TcpAddress("127.0.0.1", 50051)


class LogFormat(StrEnum):
    """Format of log lines; `auto` is console on a terminal and JSON otherwise."""

    AUTO = "auto"
    CONSOLE = "console"
    JSON = "json"


class AuditSync(StrEnum):
    """Whether lines of the audit log that wait at the same time share a sync to disk."""

    GROUP = "group"
    CALL = "call"


class LogLevel(StrEnum):
    """The minimum severity to log."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


Name = Annotated[str, Field(min_length=1, max_length=255)]


def _default_state_dir() -> Path:
    if os.geteuid() == 0:
        return Path("/var/lib/proa")
    home = os.environ.get("XDG_STATE_HOME", "")
    return (Path(home) if home.startswith("/") else Path.home() / ".local/state") / "proa"


class Settings(BaseSettings):
    """All settings of one daemon. `proad check-config --example` explains each.

    Attributes:
        state_dir: the daemon's own folder: keys, and the database by default.
        listen: the addresses to listen on.
        socket_group: name of the group of the Unix sockets; empty: the daemon's own.
        socket_mode: permissions of the Unix sockets.
        login_socket: path of a Unix socket that gives tokens to users of this host; None: none.
        local_users: whom users of this host stand for. Named `local_user` as an argument and in
            the file.
        database_url: SQLAlchemy URL with an asynchronous driver; may contain a password.
        hosts: the hosts whose engines are served, with unique names. Named `host` as an
            argument and in the file.
        tls_client_listen: the addresses on which callers must show a certificate; none: all
            that have TLS.
        client_certificates: whom client certificates stand for. Named `client_certificate` as
            an argument and in the file.
        token_lifetime: time from issue to expiry of a token.
        public_reflection: whether gRPC's reflection needs no token from other hosts either.
        refresh_token_idle: time after its last use at which a login ends; zero: logins give no
            refresh tokens.
        refresh_token_lifetime: time at which a login ends, however much it is used.
        oidc: an OpenID Connect issuer whose tokens are accepted; None for none.
        trusted_proxies: networks whose `x-forwarded-for` is believed; "unix" is the socket.
        password_min_length: minimum number of characters of a new password.
        allowed_registries: another place for `policy.allowed_registries`, with a variable.
        policy: what callers may ask of the host.
        secret_patterns: regular expressions; callers without the scope `advanced` do not read a
            command line in which one of these is found.
        user_calls_per_second: how many calls of one user begin in a second, on average.
        user_concurrent_calls: how many calls of one user are under way at a time.
        user_unread_bytes: how many bytes of answers wait for one user to read them.
        user_request_streams: how many streams of requests (Exec, Attach, ForwardPort, WriteFile) and
            calls of RunCommand, StreamLogs, ReadFile and ListFiles of one user are under way at a
            time; each may take 3 MiB of memory.
        audit_sync: whether lines of the audit log share a sync.
        audit_group_delay: how long a line waits for others to share its sync.
        audit_file_bytes: size of a file of the audit log, after which another one is begun.
        audit_kept_files: number of files of the audit log that are kept.
        audit_reserved_bytes: room that the audit log has for deletes and stops on a full disk.
        drain_timeout: how long running calls may take when the daemon stops.
        grpc_max_message_bytes: maximum size of a sent message; each method has a limit of its
            own for requests. Pages and their items have at most 3 MiB.
        grpc_max_concurrent_streams: maximum number of concurrent calls on one connection.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=VARIABLE_PREFIX,
        env_ignore_empty=True,
        hide_input_in_errors=True,
    )

    state_dir: AbsolutePath = Field(default_factory=_default_state_dir)
    listen: Annotated[
        tuple[ListenAddress, ...], NoDecode, BeforeValidator(parse_listen_addresses)
    ] = (DEFAULT_LISTEN,)
    socket_group: Annotated[str, Field(max_length=64)] = ""
    socket_mode: Literal["0600", "0660", "0666"] = "0660"
    login_socket: SocketPath | None = None
    local_users: Annotated[tuple[LocalUserSettings, ...], Field(alias="local_user")] = ()
    database_url: SecretUrl = Field(
        default_factory=lambda data: SecretUrl(sqlite_url(data["state_dir"] / "proa.db"))
    )
    hosts: Annotated[tuple[HostSettings, ...], Field(alias="host", min_length=1)] = (DEFAULT_HOST,)

    tls_cert_file: AbsoluteFile | None = None
    tls_key_file: AbsoluteFile | None = None
    tls_client_ca_file: AbsoluteFile | None = None
    tls_client_crl_file: AbsoluteFile | None = None
    tls_client_listen: Annotated[
        tuple[ListenAddress, ...], NoDecode, BeforeValidator(parse_optional_listen_addresses)
    ] = ()
    client_certificates: Annotated[
        tuple[ClientCertificateSettings, ...], Field(alias="client_certificate")
    ] = ()

    token_issuer: Name = "proa"  # noqa: S105 - not a password
    token_audience: Name = "proa"  # noqa: S105 - not a password
    token_lifetime: Annotated[Duration, Field(gt=timedelta(), le=LONGEST_TOKEN_LIFETIME)] = (
        timedelta(minutes=30)
    )

    public_reflection: bool = False
    refresh_token_idle: Annotated[Duration, Field(ge=timedelta(), le=timedelta(days=30))] = (
        timedelta(hours=12)
    )
    refresh_token_lifetime: Annotated[Duration, Field(gt=timedelta(), le=timedelta(days=366))] = (
        timedelta(days=7)
    )

    oidc: OidcSettings | None = None

    trusted_proxies: Annotated[tuple[Proxy, ...], NoDecode, BeforeValidator(parse_proxies)] = ()
    password_min_length: Annotated[int, Field(ge=1, le=72)] = 8

    allowed_registries: Annotated[Registries, NoDecode] = ("*",)
    policy: Annotated[Policy, Field(validate_default=True)] = Policy()

    secret_patterns: Annotated[
        tuple[Annotated[str, AfterValidator(check_pattern)], ...], NoDecode, BeforeValidator(texts)
    ] = SECRET_PATTERNS
    audit_sync: AuditSync = AuditSync.GROUP
    audit_group_delay: Annotated[
        Duration, Field(ge=timedelta(), le=timedelta(milliseconds=100))
    ] = timedelta()
    audit_file_bytes: Annotated[int, Field(ge=64 * 1024, le=1024**3)] = 16 * 1024**2
    audit_kept_files: Annotated[int, Field(ge=2, le=100_000)] = 64
    audit_reserved_bytes: Annotated[int, Field(ge=0, le=1024**3)] = 16 * 1024**2

    user_calls_per_second: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    user_concurrent_calls: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    user_unread_bytes: Annotated[int, Field(ge=1, le=2**40)] = 64 * 1024**2
    user_request_streams: Annotated[int, Field(ge=1, le=1_000_000)] = 200

    drain_timeout: Annotated[Duration, Field(ge=timedelta(), le=timedelta(hours=1))] = timedelta(
        seconds=30
    )
    log_format: LogFormat = LogFormat.AUTO
    log_level: LogLevel = LogLevel.INFO
    grpc_max_message_bytes: Annotated[int, Field(ge=4 * 1024**2, le=1024**3)] = 8 * 1024**2
    grpc_max_concurrent_streams: Annotated[int, Field(ge=1, le=1_000_000)] = 1000

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic-settings' signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Use arguments alone: `load_settings` reads file and environment."""
        return (init_settings,)

    @field_validator("database_url", mode="after")
    @classmethod
    def _async_driver(cls, value: SecretUrl) -> SecretUrl:
        return SecretUrl(async_url(value.get_secret_value()))

    @field_validator("policy", mode="before")
    @classmethod
    def _registries_of_the_policy(cls, value: Any, info: ValidationInfo) -> Any:
        """Take `allowed_registries`, which is older than the policy, as the policy's."""
        registries = info.data.get("allowed_registries", (ANY,))
        if isinstance(value, Policy):
            value = value.model_dump(exclude_unset=True)
        if not isinstance(value, Mapping) or registries == (ANY,):
            return value
        if "allowed_registries" in value:
            raise ValueError("set allowed_registries here or above, not in both places")
        return {**value, "allowed_registries": registries}

    @field_validator("hosts", mode="after")
    @classmethod
    def _distinct(cls, value: tuple[HostSettings, ...]) -> tuple[HostSettings, ...]:
        names = [host.name for host in value]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two hosts have the same name: {', '.join(twice)}")
        return value

    @model_validator(mode="after")
    def _check_certificates(self) -> Self:
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise ValueError("tls_cert_file and tls_key_file go together: set both or none")
        if self.tls_client_ca_file and not self.tls_cert_file:
            raise ValueError("tls_client_ca_file needs tls_cert_file and tls_key_file")
        for name in ("tls_client_crl_file", "tls_client_listen", "client_certificates"):
            if getattr(self, name) and not self.tls_client_ca_file:
                raise ValueError(f"{name} needs tls_client_ca_file")
        if strange := set(self.tls_client_listen) - set(self.listen):
            raise ValueError(f"tls_client_listen: {min(map(str, strange))} is not in listen")
        mapped = {each for table in self.client_certificates for each in table.listen}
        if strange := mapped - set(self.tls_client_listen or self.listen):
            raise ValueError(
                f"client_certificate.listen: callers show no certificate at {min(map(str, strange))}"
            )
        return self

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.local_users and self.login_socket is None:
            raise ValueError("local_user needs login_socket")
        if self.login_socket and UnixAddress(self.login_socket) in self.listen:
            raise ValueError("login_socket: is in listen, too; give it a path of its own")
        profiles = self.policy.effective().keys()
        rules = self.oidc.rules if self.oidc else ()
        if unknown := sorted({rule.profile for rule in rules} - profiles):
            raise ValueError(f"oidc.rule: the policy has no profile {', '.join(unknown)}")
        exposed = [str(address) for address in self.listen if not address.is_local]
        if exposed and self.tls is None:
            raise ValueError(
                f"listen: {', '.join(exposed)} can be reached from other machines, which "
                "needs TLS: set tls_cert_file and tls_key_file, or listen on loopback "
                "or a Unix socket"
            )
        return self

    @property
    def tls(self) -> TlsFiles | None:
        """The TLS files; None for plain text, on this host alone."""
        if self.tls_cert_file is None or self.tls_key_file is None:
            return None
        return TlsFiles(
            cert_file=self.tls_cert_file,
            key_file=self.tls_key_file,
            client_ca_file=self.tls_client_ca_file,
            client_crl_file=self.tls_client_crl_file,
        )

    @property
    def keys_dir(self) -> Path:
        """Folder of the keys that sign tokens."""
        return self.state_dir / "keys"

    @property
    def audit_dir(self) -> Path:
        """Folder of the audit log."""
        return self.state_dir / "audit"
