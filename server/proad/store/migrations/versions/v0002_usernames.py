"""Case-insensitive user names."""

from collections import defaultdict

import sqlalchemy as sa
from alembic import op

from proad.errors import SetupError

revision = "0002"
down_revision = "0001"

_COLLISION = "case no longer counts in user names, and these differ in nothing else"
_REMEDY = (
    "nothing was changed. Decide which of them stays and remove the others: with "
    "'proad user remove NAME' of the Proa that ran here before, or in SQL: "
    "DELETE FROM users WHERE name = 'NAME'"
)


def upgrade() -> None:
    """Convert all names to lower case.

    Raises:
        SetupError: two users would get the same name; nothing is changed.
    """
    users = sa.table("users", sa.column("name"))
    connection = op.get_bind()
    spellings = defaultdict(list)
    for name in connection.scalars(sa.select(users.c.name).order_by(users.c.name)):
        spellings[name.lower()].append(name)
    if twice := [" and ".join(map(repr, names)) for names in spellings.values() if len(names) > 1]:
        raise SetupError(f"{_COLLISION}: {', '.join(twice)}; {_REMEDY}")
    for lower, (name,) in spellings.items():
        if name != lower:
            connection.execute(users.update().where(users.c.name == name).values(name=lower))
