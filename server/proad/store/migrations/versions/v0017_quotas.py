"""The limits of users and teams in place of those of profiles."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0014"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "quotas",
        sa.Column("owner", sa.String(36), nullable=False),
        sa.Column("limits", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("owner", name="pk_quotas"),
    )
