"""Teams, and the access and the profile of users."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Create the teams; users so far have no team, access to all, and the default profile."""
    op.create_table(
        "teams",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_teams"),
        sa.UniqueConstraint("id", name="uq_teams_id"),
    )
    for name, length, value in (
        ("access", 16, "all"),
        ("team_id", 36, ""),
        ("profile", 64, "default"),
    ):
        op.add_column(
            "users", sa.Column(name, sa.String(length), nullable=False, server_default=value)
        )
