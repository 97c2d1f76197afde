import pytest

from proad.store.database import Database


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/proa.db"
    return request.getfixturevalue("postgres_url")


@pytest.fixture
async def database(url):
    async with Database.open(url) as database:
        yield database
