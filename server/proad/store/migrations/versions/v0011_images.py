"""Records of images that were pulled with credentials."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "images",
        sa.Column("daemon", sa.String(36), nullable=False),
        sa.Column("engine", sa.String(255), nullable=False),
        sa.Column("image", sa.String(600), nullable=False),
        sa.Column("user_id", sa.String(36), nullable=False),
        sa.PrimaryKeyConstraint("daemon", "engine", "image", "user_id", name="pk_images"),
    )
