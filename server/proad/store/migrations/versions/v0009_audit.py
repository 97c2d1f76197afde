"""The index of the audit log, and how far the log has come."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "audit_heads",
        sa.Column("daemon", sa.String(36), nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("value", sa.String(64), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("daemon", name="pk_audit_heads"),
    )
    op.create_table(
        "audit_entries",
        sa.Column("daemon", sa.String(36), nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("username", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(36), nullable=False),
        sa.Column("team_id", sa.String(36), nullable=False),
        sa.Column("token_id", sa.String(64), nullable=False),
        sa.Column("peer", sa.Text, nullable=False),
        sa.Column("method_name", sa.String(255), nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("snapshot", sa.Text, nullable=False),
        sa.Column("request_id", sa.String(36), nullable=False),
        sa.Column("correlation_id", sa.String(64), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("end_time", sa.DateTime(timezone=True)),
        sa.Column("code", sa.String(32), nullable=False),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("daemon", "sequence", name="pk_audit_entries"),
    )
    for column in ("path", "target", "username", "user_id", "team_id", "method_name", "outcome"):
        op.create_index(
            f"ix_audit_entries_{column}", "audit_entries", ["daemon", column, "time", "sequence"]
        )
    op.create_index("ix_audit_entries_time", "audit_entries", ["daemon", "time", "sequence"])
