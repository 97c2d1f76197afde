"""The owners of volumes."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Create the table; volumes so far have no owner."""
    op.create_table(
        "volume_owners",
        sa.Column("engine", sa.String(255), nullable=False),
        sa.Column("id", sa.String(255), nullable=False),
        sa.Column("owner", sa.String(36), nullable=False),
        sa.Column("domain", sa.String(36), nullable=False),
        sa.Column("capacity_bytes", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("engine", "id", name="pk_volume_owners"),
    )
