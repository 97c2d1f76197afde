"""Bringing a database up to today's schema, when the daemon opens it."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from proad.errors import SetupError

# Any number that nobody else in that PostgreSQL database takes: "proa" in ASCII.
_ADVISORY_LOCK = 0x70726F61


def is_current(connection: Connection) -> bool:
    """Tell whether nothing is to be done."""
    return _revision(connection) == _scripts().get_current_head()


def migrate(connection: Connection) -> None:
    """Run the missing migrations in the connection's transaction, all or none.

    Of several daemons that start at once one migrates and the others wait: on SQLite
    the write transaction sees to it, on PostgreSQL a lock.

    Raises:
        SetupError: the schema is a newer Proa's.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    scripts = _scripts()
    revision = _revision(connection)
    if revision == scripts.get_current_head():  # another daemon was faster
        return
    if revision and revision not in {script.revision for script in scripts.walk_revisions()}:
        raise SetupError(
            f"the database has the schema {revision!r} of a newer Proa; "
            "use that version, or restore a backup from before it"
        )
    config = Config()
    config.set_main_option("script_location", scripts.dir.replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(Path(__file__).parent / "migrations"))


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
