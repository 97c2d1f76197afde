"""A database whose file is taken away: nothing is kept for nobody, and all is well again when it is back."""

import pytest

from integration.store.test_requests import ENDED, KEY, OPEN, numbered
from proad.errors import DatabaseUnreachableError
from proad.store.database import Database
from proad.store.requests import RequestStore


async def test_record_for_a_file_that_is_gone_is_refused_until_it_is_back(tmp_path):
    """It would be written to a file without a name, and be lost with the daemon."""
    folder, away = tmp_path / "state", tmp_path / "away"
    folder.mkdir(mode=0o700)
    away.mkdir()
    async with Database.open(f"sqlite:///{folder}/proa.db") as database:
        store = RequestStore(database, "daemon-1")
        await store.add(OPEN)
        await store.remove(numbered(9).key)  # by another connection
        for each in [*folder.iterdir()]:
            each.rename(away / each.name)
        for number in range(2):
            with pytest.raises(DatabaseUnreachableError):
                await store.add(numbered(number))
            with pytest.raises(DatabaseUnreachableError):
                await store.get(KEY)
            with pytest.raises(DatabaseUnreachableError):
                await store.remove(KEY)
        assert [*folder.iterdir()] == []
        for each in [*away.iterdir()]:
            each.rename(folder / each.name)
        await store.settle(ENDED)
        assert await store.get(KEY) == ENDED
        assert await store.running() == []
    async with Database.open(f"sqlite:///{folder}/proa.db") as database:
        assert await RequestStore(database, "daemon-1").get(KEY) == ENDED
