import pytest

from integration.postgres import running_postgres


@pytest.fixture(scope="session")
def postgres():
    with running_postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres):
    with postgres.new_database() as url:
        yield url
