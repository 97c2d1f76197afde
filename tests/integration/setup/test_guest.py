"""tests/guest/build_guest.sh keeps the guest below /var/tmp, where every user may write."""

import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from guest.media import build_guest, medium

ROOT = Path(__file__).parents[3]


def test_guest_folder_is_readable_by_all_and_writable_by_owner():
    build_guest()
    for path in (*medium("guest.iso").parents, medium("guest.iso"), medium("vmlinuz")):
        assert path.stat().st_mode & 0o005
        assert not path.is_symlink()
    for folder in medium("guest.iso").parents[:2]:
        assert folder.stat().st_uid == os.geteuid()
        assert not folder.stat().st_mode & 0o022


class Stranger:
    """An unprivileged user with the scripts, and with a folder that does not exist yet."""

    def __init__(self, folder: Path) -> None:
        self.uid = 2_000_000_000 + secrets.randbelow(100_000_000)
        self.cache = Path(f"/var/tmp/proa-guest-{self.uid}")
        for scripts in ("deploy", "tests/guest"):
            shutil.copytree(ROOT / scripts, folder / scripts)
        self._script = folder / "tests/guest/build_guest.sh"

    def build(self) -> subprocess.CompletedProcess[str]:
        command = ["setpriv", f"--reuid={self.uid}", "--clear-groups", str(self._script)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    if os.geteuid() != 0:
        pytest.skip("only root can act as two users")
    folder = Path("/var/tmp") / f"proa-test-{secrets.token_hex(4)}"
    folder.mkdir(mode=0o755)
    stranger = Stranger(folder)
    yield stranger
    shutil.rmtree(folder)
    if stranger.cache.is_symlink():
        stranger.cache.unlink()
    else:
        shutil.rmtree(stranger.cache)


def of_another(stranger: Stranger) -> None:
    stranger.cache.mkdir(mode=0o755)


def a_link(stranger: Stranger) -> None:
    stranger.cache.symlink_to("/etc")


def writable(stranger: Stranger) -> None:
    stranger.cache.mkdir()
    stranger.cache.chmod(0o777)
    os.chown(stranger.cache, stranger.uid, 0)


@pytest.mark.parametrize("laid", [of_another, a_link, writable])
def test_guest_folder_of_another_user_is_refused(
    stranger: Stranger, laid: Callable[[Stranger], None]
):
    laid(stranger)
    done = stranger.build()
    assert done.returncode != 0
    assert f"{stranger.cache} must be a folder of yours with mode 755" in done.stderr
