"""The id of a daemon, by which its rows are told apart in a shared database."""

from uuid import UUID

import pytest

from proad.errors import SetupError
from proad.state import daemon_id


@pytest.fixture
def folder(tmp_path):
    tmp_path.chmod(0o700)
    return tmp_path


def test_daemon_id_is_made_once(folder):
    first = daemon_id(folder)

    assert str(UUID(first)) == first
    assert daemon_id(folder) == first
    assert [path.name for path in folder.iterdir()] == ["daemon_id"]


def test_daemon_id_of_another_folder_is_another(folder):
    (other := folder / "other").mkdir()

    assert daemon_id(folder) != daemon_id(other)


def test_daemon_id_of_a_torn_file_raises_setup_error(folder):
    (folder / "daemon_id").write_text("")

    with pytest.raises(SetupError, match="holds no UUID"):
        daemon_id(folder)


def test_daemon_id_without_a_folder_raises_setup_error(folder):
    with pytest.raises(SetupError, match="No such file"):
        daemon_id(folder / "missing")
