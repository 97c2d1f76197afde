"""What containers count for in quotas."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0011"


def upgrade() -> None:
    """Add the column; containers so far count for the defaults of their owners' profiles."""
    op.add_column("resources", sa.Column("charge", sa.JSON(none_as_null=True)))
