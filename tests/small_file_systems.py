"""File systems with little room."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from requirements import skip_or_fail


@contextmanager
def small_file_system(folder: Path, options: str) -> Iterator[Path]:
    """Mount one, in memory, on a new folder, with options such as "size=1m"."""
    if os.geteuid() != 0:
        skip_or_fail("only root can mount a small file system")
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)
