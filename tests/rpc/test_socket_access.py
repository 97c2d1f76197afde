"""Who may connect to a Unix socket: tried by a real other user."""

import grp
import os
import stat
import threading

import pytest

from other_user import NOBODY, may_connect
from proad.errors import SetupError
from proad.sockets import SocketAccess, unshared
from requirements import skip_or_fail

GROUP = "daemon"


@pytest.fixture
def gid():
    if os.geteuid() != 0:
        skip_or_fail("it takes root to give a file to a group")
    return grp.getgrnam(GROUP).gr_gid


@pytest.fixture
def path(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    folder.chmod(0o755)
    return folder / "proa.sock"


@pytest.mark.parametrize(
    ("changed", "members", "others"),
    [
        ({}, False, False),
        ({"socket_group": GROUP}, True, False),
        ({"socket_group": GROUP, "socket_mode": "0600"}, False, False),
        ({"socket_mode": "0666"}, True, True),
    ],
    ids=["the daemon's group", "another group", "nobody else", "everybody"],
)
async def test_socket_lets_those_connect_whom_the_settings_name(
    serve, path, gid, changed, members, others
):
    await serve(listen=f"unix:{path}", **changed)

    assert may_connect(path, group=gid) == members
    assert may_connect(path, group=NOBODY) == others


async def test_socket_is_open_to_nobody_else_at_any_moment(serve, path, gid):
    """Whatever umask the process has."""
    seen = set()
    started = threading.Event()

    def look():
        while not started.is_set():
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            seen.add((stat.S_IMODE(status.st_mode), status.st_gid))

    looking = threading.Thread(target=look)
    before = os.umask(0)
    looking.start()
    try:
        daemon = await serve(listen=f"unix:{path}", socket_group=GROUP)
    finally:
        started.set()
        looking.join()
        os.umask(before)

    assert (0o660, gid) in seen
    assert all(group == gid for mode, group in seen if mode & 0o077)
    assert not any(mode & 0o007 for mode, _group in seen)
    assert (await daemon.call("GetCaller")).username == "ann"


def test_unshared_files_are_private_and_the_umask_comes_back(tmp_path):
    before = os.umask(0)
    try:
        with unshared():
            (tmp_path / "inside").touch()
        (tmp_path / "outside").touch()
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "inside").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "outside").stat().st_mode) == 0o666


async def test_socket_of_an_unknown_group_is_refused(serve, path):
    with pytest.raises(SetupError, match="there is no group 'none-such'; make it"):
        await serve(listen=f"unix:{path}", socket_group="none-such")


def test_open_of_a_socket_that_cannot_be_given_away_leaves_it_private(tmp_path, monkeypatch):
    def refuse(*_arguments, **_options):
        raise PermissionError(1, "Operation not permitted")

    path = tmp_path / "s"
    path.touch(mode=0o600)
    monkeypatch.setattr(os, "chown", refuse)
    with pytest.raises(SetupError, match="run the daemon as root or as a member"):
        SocketAccess(group=12345).open(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
