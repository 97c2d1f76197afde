import asyncio
import contextlib
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from eventually import consistently
from proad.errors import DatabaseUnreachableError, SetupError
from proad.model.scope import Scope
from proad.store import migrations
from proad.store.database import Database
from proad.store.migrate import is_current
from proad.store.requests import RequestStore
from proad.store.schema import REVISION, metadata
from proad.store.url import async_url
from proad.store.users import UserStore

HASH = "$2b$04$" + "x" * 53


async def test_migrations_produce_the_schema(database):
    def differences(connection):
        return compare_metadata(MigrationContext.configure(connection), metadata)

    async with database.read() as connection:
        assert await connection.run_sync(is_current)
        assert await connection.run_sync(differences) == []


def test_schema_names_the_newest_migration():
    folder = Path(migrations.__file__).parent
    assert ScriptDirectory(str(folder)).get_current_head() == REVISION


async def test_open_again_finds_what_was_written(url):
    async with Database.open(url) as database:
        user = await UserStore(database).add("ann", HASH, [Scope.BASIC])
    async with Database.open(url) as database:
        assert await UserStore(database).get("ann") == user


async def test_open_by_many_tasks_at_once_migrates_once(url):
    async def start(number):
        async with Database.open(url) as database:
            await UserStore(database).add(f"user{number}", HASH, [])

    await asyncio.gather(*(start(number) for number in range(8)))
    async with Database.open(url) as database:
        assert len(await UserStore(database).list()) == 8


def test_open_by_many_processes_at_once_migrates_once(url):
    code = (
        "import asyncio, sys\n"
        "from proad.store.database import Database\n"
        "async def main():\n"
        "    async with Database.open(sys.argv[1]):\n"
        "        pass\n"
        "print('loaded', flush=True)\n"
        "sys.stdin.readline()\n"
        "asyncio.run(main())\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:  # loaded, so that they run at the same time
        assert process.stdout is not None
        assert process.stdout.readline() == "loaded\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        _, errors = process.communicate()
        assert process.returncode == 0, errors


async def test_open_with_a_failing_migration_leaves_nothing(url):
    """A table in the way makes the last step fail."""
    async with Database.open(url) as database, database.write() as connection:
        for table in ("users", "alembic_version"):
            await connection.execute(text(f"DROP TABLE {table}"))
    with pytest.raises(SetupError, match="revoked_tokens"):
        async with Database.open(url):
            pass
    with pytest.raises(SetupError, match="revoked_tokens"):  # and not "users exists already"
        async with Database.open(url):
            pass


async def test_open_with_a_newer_schema_raises_setup_error(url):
    async with Database.open(url) as database, database.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SetupError, match=r"'9999' of a newer Proa"):
        async with Database.open(url):
            pass


async def migrated_to(url, revision):
    """Make a database as an earlier Proa left it; return an engine on it."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))

    def upgrade(connection):
        config.attributes["connection"] = connection
        command.upgrade(config, revision)

    engine = create_async_engine(async_url(url))
    async with engine.begin() as connection:
        await connection.run_sync(upgrade)
    return engine


async def before_names_had_one_case(url, names):
    """Make the database of a Proa in whose user names case counted."""
    engine = await migrated_to(url, "0001")
    async with engine.begin() as connection:
        for name in names:
            await connection.execute(
                text(
                    "INSERT INTO users (name, password_hash, scopes, disabled, token_version, "
                    "create_time) VALUES (:name, :hash, 'basic', false, 7, :now)"
                ),
                {"name": name, "hash": HASH, "now": "2026-01-02 03:04:05+00:00"},
            )
    await engine.dispose()


async def test_migration_of_names_in_other_case_keeps_the_users(url):
    await before_names_had_one_case(url, ["Ann", "bob", "CARL@x.ORG"])
    async with Database.open(url) as database:
        found = await UserStore(database).list()
    assert [user.name for user in found] == ["ann", "bob", "carl@x.org"]
    assert {user.token_version for user in found} == {7}
    assert len({user.id for user in found}) == 3


async def test_migration_of_names_that_become_one_is_refused_and_changes_nothing(url):
    names = ["ANN", "Ann", "Bob", "carl"]
    await before_names_had_one_case(url, names)
    for _ in range(2):
        with pytest.raises(SetupError, match="'ANN' and 'Ann'; nothing was changed") as caught:
            async with Database.open(url):
                pass
    assert "DELETE FROM users WHERE name" in str(caught.value)
    assert "Bob" not in str(caught.value)

    engine = create_async_engine(async_url(url))
    async with engine.begin() as connection:
        kept = await connection.scalars(text("SELECT name FROM users ORDER BY lower(name)"))
        assert set(kept) == set(names)
        await connection.execute(text("DELETE FROM users WHERE name = 'ANN'"))
    await engine.dispose()
    async with Database.open(url) as database:
        assert [user.name for user in await UserStore(database).list()] == ["ann", "bob", "carl"]


async def test_migration_to_sights_shows_older_requests_only_to_who_sees_all(url):
    engine = await migrated_to(url, "0017")
    columns = {
        "daemon": "d",
        "user_id": "u",
        "id": "r",
        "method": "/x",
        "state": "SUCCEEDED",
        "empty": b"",
        "now": "2026-01-02 03:04:05+00:00",
    }
    async with engine.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO requests (daemon, user_id, id, method, digest, state, path, "
                "start_time, end_time, answer) VALUES (:daemon, :user_id, :id, :method, :empty, "
                ":state, '', :now, :now, :empty)"
            ),
            columns,
        )
    await engine.dispose()
    async with Database.open(url) as database:
        store = RequestStore(database, "d")
        (kept,) = await store.page("u", most=9)
        assert not await store.page("u", sight="0123456789abcdef", most=9)
    assert (kept.sight, kept.shows_in(""), kept.shows_in("0123456789abcdef")) == ("", True, False)


async def test_write_that_fails_changes_nothing(database):
    users = UserStore(database)
    await users.add("ann", HASH, [])

    async def fail_half_way():
        async with database.write() as connection:
            await connection.execute(text("DELETE FROM users"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_half_way()
    assert await users.get("ann")


async def test_read_and_write_run_concurrently(database):
    users = UserStore(database)
    await users.add("ann", HASH, [])
    await asyncio.gather(
        *(users.set_disabled("ann", disabled=True) for _ in range(15)),
        *(users.get("ann") for _ in range(60)),
    )


class TestSqlite:
    @pytest.fixture
    def path(self, tmp_path):
        return tmp_path / "proa.db"

    async def test_open_creates_private_files_in_wal_mode(self, path):
        before = os.umask(0)
        try:
            async with Database.open(f"sqlite:///{path}") as database:
                await UserStore(database).add("ann", HASH, [])
                modes = {
                    file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()
                }
        finally:
            os.umask(before)
        assert modes == {"proa.db": 0o600, "proa.db-shm": 0o600, "proa.db-wal": 0o600}

    async def test_open_of_a_public_file_makes_it_private(self, path):
        async with Database.open(f"sqlite:///{path}"):
            pass
        path.chmod(0o644)
        async with Database.open(f"sqlite:///{path}"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600

    async def test_connection_has_its_pragmas(self, path):
        async with Database.open(f"sqlite:///{path}") as database, database.read() as connection:
            for pragma, value in [("journal_mode", "wal"), ("foreign_keys", 1)]:
                assert (await connection.execute(text(f"PRAGMA {pragma}"))).scalar() == value
            assert (await connection.execute(text("PRAGMA busy_timeout"))).scalar() == 5000

    async def test_write_waits_for_another_writer(self, path):
        async with Database.open(f"sqlite:///{path}") as database:
            with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                adding = asyncio.create_task(UserStore(database).add("ann", HASH, []))
                await consistently(lambda: not adding.done(), during=0.2)
                assert await UserStore(database).list() == []  # readers do not wait
                other.execute("COMMIT")
            await adding

    async def test_open_of_another_file_raises_setup_error(self, path):
        path.write_text("not a database, but long enough to be taken for one" * 100)
        with pytest.raises(SetupError, match="not a database"):
            async with Database.open(f"sqlite:///{path}"):
                pass

    async def test_read_of_a_file_that_was_overwritten_raises(self, path):
        async with Database.open(f"sqlite:///{path}") as database:
            path.write_bytes(b"x" * path.stat().st_size)
            with pytest.raises(DatabaseUnreachableError):
                await UserStore(database).get("ann")

    async def test_open_in_a_missing_folder_raises_setup_error(self, tmp_path):
        with pytest.raises(SetupError, match="No such file"):
            async with Database.open(f"sqlite:///{tmp_path}/none/proa.db"):
                pass


class TestPostgresql:
    async def test_open_without_a_server_raises_setup_error(self):
        with pytest.raises(SetupError) as caught:
            async with Database.open("postgresql://me:geheim@127.0.0.1:1/proa"):
                pass
        assert "Connection refused" in str(caught.value)
        assert "geheim" not in str(caught.value)

    async def test_read_after_a_restart_of_the_server_succeeds(self, postgres):
        # Not in a new database, whose own connection the stop would break
        async with Database.open(postgres.url("postgres")) as database:
            users = UserStore(database)
            assert await users.get("ann") is None
            postgres.stop()
            try:
                with pytest.raises(DatabaseUnreachableError) as caught:
                    await users.get("ann")
                assert str(postgres.folder) not in caught.value.message
            finally:
                postgres.start()
            assert await users.get("ann") is None

    async def test_read_and_write_while_the_server_hangs_raise_in_time(self, postgres):
        async with Database.open(postgres.url("postgres"), answer_seconds=0.5) as database:
            users = UserStore(database)
            assert await users.get("ann") is None
            with postgres.hanging():
                # The driver itself takes five seconds to give a query up.
                async with asyncio.timeout(30):
                    with pytest.raises(DatabaseUnreachableError):
                        await users.get("ann")
                    with pytest.raises(DatabaseUnreachableError):
                        await users.add("ann", HASH, (Scope.BASIC,))
            assert await users.get("ann") is None

    async def test_write_to_a_server_that_takes_none_raises(self, postgres_url):
        async with Database.open(postgres_url) as database:
            users = UserStore(database)
            async with database.write() as connection:
                await connection.execute(
                    text("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
                )
            with pytest.raises(DatabaseUnreachableError):
                await users.add("ann", HASH, (Scope.BASIC,))
            assert await users.get("ann") is None

    async def test_read_of_a_schema_that_is_gone_raises(self, postgres_url):
        async with Database.open(postgres_url) as database:
            async with database.write() as connection:
                await connection.execute(text("DROP SCHEMA public CASCADE"))
            with pytest.raises(DatabaseUnreachableError):
                await UserStore(database).get("ann")
