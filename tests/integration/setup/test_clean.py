"""`make clean` removes what is this clone's alone."""

import shutil
import subprocess
from pathlib import Path

MAKEFILE = Path(__file__).parents[3] / "Makefile"


def test_make_clean_keeps_guest_of_other_clones(tmp_path: Path) -> None:
    clone, guest = tmp_path / "clone", tmp_path / "shared"
    (clone / "build").mkdir(parents=True)
    (clone / ".venv").mkdir()
    guest.mkdir()
    (guest / "guest.iso").touch()
    (clone / "build/guest").symlink_to(guest)
    shutil.copy(MAKEFILE, clone)
    subprocess.run(["make", "-C", clone, "clean"], check=True, capture_output=True, timeout=60)
    assert [path.name for path in clone.iterdir()] == ["Makefile"]
    assert (guest / "guest.iso").exists()
