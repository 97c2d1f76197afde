"""Database URLs, and their asynchronous drivers."""

from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}


def sqlite_url(path: Path) -> str:
    """Return the URL of an SQLite file."""
    return URL.create("sqlite+aiosqlite", database=str(path)).render_as_string()


def async_url(text: str) -> str:
    """Return a database URL with our driver in it.

    Raises:
        ValueError: the URL is invalid or of another database. The message contains no password.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError(
            "not a database URL such as sqlite:////path/to/file or postgresql://user@host/name"
        ) from None
    driver = _DRIVERS.get(url.drivername)
    if driver is None:
        raise ValueError(f"{url.drivername!r} is not one of: sqlite, postgresql")
    url = url.set(drivername=driver)
    if url.get_backend_name() == "sqlite":
        if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
            raise ValueError("SQLite needs a file: sqlite:////path/to/file")
        url = url.set(database=str(Path(url.database).absolute()))
    return url.render_as_string(hide_password=False)
