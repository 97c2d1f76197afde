import pytest

from unit.audit.logs import Log


@pytest.fixture
def log(tmp_path):
    """A log of which lines were written in several files and two runs."""
    log = Log(tmp_path / "audit")
    log.run(10)
    log.run(10)
    return log
