import os
import subprocess
import sys

import pytest


@pytest.fixture(scope="session")
def package_index() -> None:
    """Skip where pip reaches no package index."""
    command = [sys.executable, "-m", "pip", "index", "versions", "pip"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=170)
    if done.returncode != 0:
        if os.environ.get("PROA_REQUIRE_ENGINES") == "1":
            pytest.fail(done.stderr)
        pytest.skip("pip reaches no package index")
