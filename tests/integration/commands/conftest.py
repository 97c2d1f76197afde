import os
import re
import subprocess
import sys
from functools import partial

import pytest

from integration.commands.in_process import give

PROAD = [sys.executable, "-m", "proad"]


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def environment(state):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PROA_")}
    return clean | {"PROA_STATE_DIR": str(state)}


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, state, environment):
    """The database of the daemon."""
    if request.param == "sqlite":
        return f"sqlite:///{state}/proa.db"
    environment["PROA_DATABASE_URL"] = request.getfixturevalue("postgres_url")
    return environment["PROA_DATABASE_URL"]


@pytest.fixture
def given(environment):
    """Give the command in this process, and return its output, or its message if it failed.

    For what a test needs, and for what differs in nothing but the command's words.
    """
    return partial(give, environment)


@pytest.fixture
def proad(environment):
    """Run the command, and return its output, or its standard error if it failed."""

    def proad(*arguments, stdin="", code=0, **variables):
        done = subprocess.run(
            [*PROAD, *arguments],
            input=stdin if isinstance(stdin, bytes) else stdin.encode(),
            capture_output=True,
            env=environment | variables,
            check=False,
            timeout=60,
        )
        output, errors = done.stdout.decode(), done.stderr.decode()
        assert done.returncode == code, output + errors
        assert "Traceback" not in errors
        if code == 1:
            assert re.fullmatch(r"proad: .+\n", errors), errors
        return output if code == 0 else errors

    return proad
