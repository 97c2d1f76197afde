"""Records of resources: owner, protection, labels."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "resources",
        sa.Column("daemon", sa.String(36), nullable=False),
        sa.Column("engine", sa.String(255), nullable=False),
        sa.Column("mark", sa.String(64), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(36), nullable=False),
        sa.Column("deletion_protection", sa.Boolean, nullable=False),
        sa.Column("labels", sa.JSON(none_as_null=True)),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("daemon", "engine", "mark", name="pk_resources"),
    )
