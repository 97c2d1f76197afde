import os
import stat
from pathlib import Path

import pytest

from proad.errors import SetupError
from proad.ownership import check_own_folder, check_parent, check_path, open_own
from proad.state import prepare_state_dir

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
STRANGER = 12345


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "a" / "state"
    folder.mkdir(mode=0o700, parents=True)
    return folder


def refused(call, *arguments, **others):
    with pytest.raises(SetupError) as caught:
        call(*arguments, **others)
    return str(caught.value)


def test_check_own_folder_of_our_own_folder_passes(folder):
    check_own_folder(folder, private=True)
    folder.chmod(0o755)
    check_own_folder(folder, private=False)


def test_prepare_state_dir_creates_missing_parents(tmp_path):
    before = os.umask(0)
    try:
        prepare_state_dir(tmp_path / "b" / "state")
    finally:
        os.umask(before)
    for made in (tmp_path / "b", tmp_path / "b" / "state"):
        assert stat.S_IMODE(made.stat().st_mode) == 0o700


@as_root
def test_check_own_folder_of_another_user_raises_setup_error(folder):
    os.chown(folder, STRANGER, -1)
    for call in (lambda: prepare_state_dir(folder), lambda: check_own_folder(folder, private=True)):
        message = refused(call)
        assert f"{folder}: belongs to uid {STRANGER}" in message
        assert f"chown {os.geteuid()} {folder}" in message


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777, 0o1777])
def test_check_own_folder_writable_by_others_raises_setup_error(folder, mode):
    folder.chmod(mode)
    message = refused(prepare_state_dir, folder)
    assert f"{folder}: others may change" in message
    # A folder such as /tmp is everybody's: no advice may take it from them.
    mend = f"such as {folder}/proa" if mode & 0o1000 else f"chmod 700 {folder}"
    assert message.endswith(mend)


@pytest.mark.parametrize("mode", [0o740, 0o704, 0o711])
def test_check_own_folder_private_and_listable_by_others_raises_setup_error(folder, mode):
    folder.chmod(mode)
    assert "may look into" in refused(check_own_folder, folder, private=True)


def test_check_own_folder_of_a_link_names_its_target(folder, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(folder)
    assert f"is a symbolic link; name the folder that it leads to: {folder}" in refused(
        prepare_state_dir, link
    )
    link.unlink()
    link.symlink_to(tmp_path / "nowhere")
    assert "is a symbolic link" in refused(prepare_state_dir, link)
    assert not (tmp_path / "nowhere").exists()


def test_check_path_over_our_own_link_passes(folder, tmp_path):
    (tmp_path / "link").symlink_to("a/../a")
    check_path(tmp_path / "link" / "state")
    prepare_state_dir(tmp_path / "link" / "state")


@as_root
@pytest.mark.parametrize("below_link", [False, True])
def test_check_path_through_a_folder_of_another_user_raises_setup_error(
    folder, tmp_path, below_link
):
    os.chown(folder.parent, STRANGER, -1)
    way = folder
    if below_link:
        (tmp_path / "link").symlink_to(folder.parent)
        way = tmp_path / "link" / "state"
    message = refused(prepare_state_dir, way)
    assert f"{folder.parent}: belongs to uid {STRANGER}, who can put something else" in message
    missing = folder.parent / "other" / "state"
    refused(prepare_state_dir, missing)
    assert not missing.parent.exists(), "nothing is made there"


@as_root
def test_check_path_over_a_link_of_another_user_raises_setup_error(folder, tmp_path):
    """As in /tmp, where everybody makes links."""
    tmp = tmp_path / "tmp"
    tmp.mkdir()
    tmp.chmod(0o1777)
    link = tmp / "link"
    link.symlink_to(folder.parent)
    os.chown(link, STRANGER, -1, follow_symlinks=False)
    assert f"{link}: belongs to uid {STRANGER}" in refused(prepare_state_dir, link / "state")


def test_check_path_through_a_folder_writable_by_others_passes_only_if_sticky(folder):
    folder.parent.chmod(0o777)
    message = refused(prepare_state_dir, folder)
    assert f"{folder.parent}: others may write to it (mode 0777)" in message
    assert f"chmod go-w {folder.parent}" in message
    folder.parent.chmod(0o1777)
    prepare_state_dir(folder)


def test_check_path_over_circular_links_raises_setup_error(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert "too many symbolic links" in refused(prepare_state_dir, tmp_path / "a" / "state")


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770])
def test_check_parent_writable_by_others_raises_setup_error(folder, mode):
    check_parent(folder / "proa.sock")
    folder.chmod(mode)
    message = refused(check_parent, folder / "proa.sock")
    assert message.startswith(f"{folder}: others may ")
    assert f"(mode {mode:04o})" in message
    assert (f"chmod go-w {folder}" in message) == (mode != 0o1777)


def test_open_own_creates_a_private_file(folder):
    before = os.umask(0)
    try:
        os.close(open_own(folder / "file", os.O_RDWR | os.O_CREAT))
    finally:
        os.umask(before)
    assert stat.S_IMODE((folder / "file").stat().st_mode) == 0o600


def test_open_own_of_a_link_raises_setup_error(folder):
    (folder / "file").touch()
    (folder / "link").symlink_to("file")
    assert "link: is a symbolic link" in refused(open_own, folder / "link", os.O_RDWR)


@as_root
def test_open_own_of_a_file_of_another_user_raises_setup_error_and_closes(folder):
    (folder / "file").touch()
    os.chown(folder / "file", STRANGER, -1)
    descriptors = Path("/proc/self/fd")
    before = len(list(descriptors.iterdir()))
    assert "belongs to uid 12345" in refused(open_own, folder / "file", os.O_RDWR)
    assert len(list(descriptors.iterdir())) == before
