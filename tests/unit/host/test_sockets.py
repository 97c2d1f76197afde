import os
import resource
import socket
import stat

import pytest

from proad.errors import SetupError
from proad.locks import locked
from proad.sockets import SocketAccess, bound, claimed


@pytest.fixture
def path(tmp_path):
    return tmp_path / "proa.sock"


def refused(path):
    with pytest.raises(SetupError) as caught, claimed(path):
        pass
    return str(caught.value)


def test_claimed_holds_and_frees_a_path(path):
    with claimed(path):
        message = refused(path)
        assert message == (
            f"unix:{path}: another process serves there; stop it, or listen somewhere else "
            f"(process {os.getpid()})"
        )
    with claimed(path):
        pass


def test_claimed_with_a_listener_is_refused_and_leaves_it(path):
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen(1)
        assert "another process serves there" in refused(path)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


def test_claimed_with_a_full_backlog_is_refused_and_leaves_it(path):
    with socket.socket(socket.AF_UNIX) as other, socket.socket(socket.AF_UNIX) as client:
        other.bind(str(path))
        other.listen(0)
        client.connect(str(path))
        assert "another process serves there" in refused(path)
    assert path.is_socket()


def test_claimed_removes_a_stale_socket(path):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with claimed(path):
        assert not path.exists()


@pytest.mark.parametrize("what", ["file", "link", "folder"])
def test_claimed_of_another_file_is_refused_and_leaves_it(path, what, tmp_path):
    match what:
        case "file":
            path.write_text("precious")
        case "link":
            path.symlink_to(tmp_path / "elsewhere")
        case "folder":
            path.mkdir()
    assert "is there and no socket" in refused(path)
    assert path.lstat()


def test_claimed_in_a_missing_or_open_folder_is_refused(path):
    assert "No such file or directory; make it" in refused(path.parent / "none" / "proa.sock")
    path.parent.chmod(0o1777)
    assert "others may put a file of theirs" in refused(path)
    assert not path.with_name("proa.sock.lock").exists()


def test_locked_file_is_private_and_no_link(tmp_path):
    with locked(tmp_path / "lock", "taken"):
        assert stat.S_IMODE((tmp_path / "lock").stat().st_mode) == 0o600
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "link").symlink_to("precious")
    with pytest.raises(SetupError, match="symbolic link"), locked(tmp_path / "link", "taken"):
        pass
    assert (tmp_path / "precious").read_text() == "precious"


def test_locked_file_that_cannot_be_written_is_refused_and_freed(tmp_path):
    """As on a disk that is full."""
    _, most = before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, most))
    try:
        with pytest.raises(SetupError, match="lock: File too large"), locked(tmp_path / "lock", ""):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    with locked(tmp_path / "lock", "taken"):
        pass


def test_bound_socket_in_whose_place_is_something_else_ends_without_a_failure(path):
    with bound(path, SocketAccess(mode=0o600)):
        path.unlink()
        path.mkdir()
    assert path.is_dir()
