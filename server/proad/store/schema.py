"""The tables. A change needs a migration; a test compares the two."""

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Index,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

REVISION = "0019"
"""The migration that leads to these tables."""


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time, always in UTC. SQLite itself drops the time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002 - SQLAlchemy's signature
    ) -> datetime | None:
        """Convert to UTC. Raises ValueError for a time without a zone."""
        if value is not None and value.tzinfo is None:
            raise ValueError("a time without a time zone")
        return value.astimezone(UTC) if value else None

    def process_result_value(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002 - SQLAlchemy's signature
    ) -> datetime | None:
        """Add the time zone."""
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)

users = Table(
    "users",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("password_hash", String(60), nullable=False),
    Column("scopes", String(255), nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("token_version", BigInteger, nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
    Column("access", String(16), nullable=False, server_default="all"),
    # Empty: no team
    Column("team_id", String(36), nullable=False, server_default=""),
    Column("profile", String(64), nullable=False, server_default="default"),
)

teams = Table(
    "teams",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("create_time", UtcDateTime, nullable=False),
)

quotas = Table(
    "quotas",
    metadata,
    # Id of a user or team
    Column("owner", String(36), primary_key=True),
    Column("limits", JSON, nullable=False),
)

revoked_tokens = Table(
    "revoked_tokens",
    metadata,
    Column("jti", String(64), primary_key=True),
    Column("expire_time", UtcDateTime, nullable=False, index=True),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("daemon", String(36), nullable=False),
    Column("user_id", String(36), nullable=False, index=True),
    Column("token_version", BigInteger, nullable=False),
    Column("scopes", String(255), nullable=False),
    Column("access", String(16), nullable=False),
    # Of the refresh token that is good: nobody can make the token of it without the daemon's key
    Column("number", BigInteger, nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
    Column("use_time", UtcDateTime, nullable=False),
    Column("expire_time", UtcDateTime, nullable=False, index=True),
)

service_keys = Table(
    "service_keys",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("user_id", String(36), nullable=False),
    Column("name", String(64), nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("scopes", String(255), nullable=False),
    Column("access", String(16), nullable=False),
    Column("create_time", UtcDateTime, nullable=False),
    Column("expire_time", UtcDateTime),
    Column("use_time", UtcDateTime),
    UniqueConstraint("user_id", "name"),
)

identities = Table(
    "identities",
    metadata,
    Column("issuer", String(255), primary_key=True),
    Column("subject", String(255), primary_key=True),
    Column("user_id", String(36), nullable=False, unique=True),
    # When the latest token was issued
    Column("token_time", UtcDateTime, nullable=False),
)

volumes = Table(
    "volumes",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("engine", String(255), nullable=False, index=True),
    Column("state", String(16), nullable=False),
    Column("owner", String(36), nullable=False),
    Column("pool", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("engine_key", Text, nullable=False),
    Column("format", String(16), nullable=False),
    Column("base_chain", JSON, nullable=False),
    # As text: a device and an inode may have 64 bits and no sign, more than integers here
    Column("device", String(20)),
    Column("inode", String(20)),
    Column("birth_time_ns", BigInteger),
    Column("create_time", UtcDateTime, nullable=False),
)

volume_owners = Table(
    "volume_owners",
    metadata,
    Column("engine", String(255), primary_key=True),
    Column("id", String(255), primary_key=True),
    Column("owner", String(36), nullable=False),
    Column("domain", String(36), nullable=False),
    Column("capacity_bytes", BigInteger, nullable=False),
)

requests = Table(
    "requests",
    metadata,
    Column("daemon", String(36), primary_key=True),
    Column("user_id", String(36), primary_key=True),
    Column("id", String(36), primary_key=True),
    Column("method", String(255), nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("state", String(16), nullable=False),
    Column("path", Text, nullable=False),
    Column("start_time", UtcDateTime, nullable=False),
    Column("end_time", UtcDateTime),
    Column("intent", JSON),
    Column("sight", String(16), nullable=False, server_default=""),
    # Last, since what lists requests does not read it
    Column("answer", LargeBinary, nullable=False),
    Index("ix_requests_daemon", "daemon", "end_time"),
)

images = Table(
    "images",
    metadata,
    Column("daemon", String(36), primary_key=True),
    Column("engine", String(255), primary_key=True),
    Column("image", String(600), primary_key=True),
    # Empty: everybody
    Column("user_id", String(36), primary_key=True),
)

resources = Table(
    "resources",
    metadata,
    Column("daemon", String(36), primary_key=True),
    Column("engine", String(255), primary_key=True),
    Column("mark", String(64), primary_key=True),
    Column("id", String(64), nullable=False),
    Column("owner", String(36), nullable=False),
    Column("deletion_protection", Boolean, nullable=False),
    Column("labels", JSON(none_as_null=True)),
    Column("create_time", UtcDateTime, nullable=False),
    Column("charge", JSON(none_as_null=True)),
)

audit_heads = Table(
    "audit_heads",
    metadata,
    Column("daemon", String(36), primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("value", String(64), nullable=False),
    Column("time", UtcDateTime, nullable=False),
)

audit_entries = Table(
    "audit_entries",
    metadata,
    Column("daemon", String(36), primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("time", UtcDateTime, nullable=False),
    Column("username", String(64), nullable=False),
    Column("user_id", String(36), nullable=False),
    Column("team_id", String(36), nullable=False),
    Column("token_id", String(64), nullable=False),
    Column("peer", Text, nullable=False),
    Column("method_name", String(255), nullable=False),
    Column("path", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("snapshot", Text, nullable=False),
    Column("request_id", String(36), nullable=False),
    Column("correlation_id", String(64), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("end_time", UtcDateTime),
    Column("code", String(32), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("rule", Text, nullable=False),
    Column("received_bytes", BigInteger, nullable=False, server_default="0"),
    Column("sent_bytes", BigInteger, nullable=False, server_default="0"),
    # Each filter has its own, in the order of a list
    *(
        Index(f"ix_audit_entries_{column}", "daemon", column, "time", "sequence")
        for column in ("path", "target", "username", "user_id", "team_id", "method_name", "outcome")
    ),
    Index("ix_audit_entries_time", "daemon", "time", "sequence"),
)
