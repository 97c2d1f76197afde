import subprocess
import sys

import pytest

from requirements import skip_or_fail


@pytest.fixture(scope="session")
def package_index() -> None:
    """Skip where pip reaches no package index."""
    command = [sys.executable, "-m", "pip", "index", "versions", "pip"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=170)
    if done.returncode != 0:
        skip_or_fail(f"pip reaches no package index: {done.stderr}")
