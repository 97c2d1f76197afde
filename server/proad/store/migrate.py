"""Migration of a database to the current schema."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from proad.errors import SetupError
from proad.store.schema import REVISION

# A number that nothing else in the PostgreSQL database should use: "proa" in ASCII.
_ADVISORY_LOCK = 0x70726F61
_FOLDER = Path(__file__).parent / "migrations"


def is_current(connection: Connection) -> bool:
    """Return whether the schema is current; cheap, for every start and every command."""
    if not inspect(connection).has_table("alembic_version"):
        return False
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision == REVISION


def migrate(connection: Connection) -> None:
    """Run the missing migrations in the connection's transaction, all or none.

    Of several daemons that start at once one migrates and the others wait: for the write
    transaction on SQLite, for an advisory lock on PostgreSQL.

    Raises:
        SetupError: the schema is that of a newer Proa.
    """
    # The import takes a third of a second, and there is hardly ever anything to migrate
    from alembic import command
    from alembic.config import Config
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    revision = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in ScriptDirectory(str(_FOLDER)).walk_revisions()}
    if revision and revision not in known:
        raise SetupError(
            f"the database has the schema {revision!r} of a newer Proa; "
            "use that version, or restore a backup from before it"
        )
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")  # does nothing if another daemon was faster
