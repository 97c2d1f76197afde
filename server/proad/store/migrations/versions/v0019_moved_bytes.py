"""How many bytes streams of requests moved, in the index of the audit log."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Add the columns; entries so far moved none."""
    for name in ("received_bytes", "sent_bytes"):
        column = sa.Column(name, sa.BigInteger, nullable=False, server_default="0")
        op.add_column("audit_entries", column)
