"""Ids of users that stay when names change, and are never used again."""

from uuid import uuid4

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Give each user an id."""
    op.add_column("users", sa.Column("id", sa.String(36)))
    users = sa.table("users", sa.column("name"), sa.column("id"))
    connection = op.get_bind()
    for name in connection.scalars(sa.select(users.c.name)).all():
        connection.execute(users.update().where(users.c.name == name).values(id=str(uuid4())))
    with op.batch_alter_table("users") as table:
        table.alter_column("id", existing_type=sa.String(36), nullable=False)
        table.create_unique_constraint("uq_users_id", ["id"])
