"""Skip tests that need something that this host or its user lacks."""

import os
import shutil
from typing import NoReturn

import pytest


def skip_or_fail(reason: str) -> NoReturn:
    """Skip; fail where something that is missing is an error."""
    if os.environ.get("PROA_REQUIRE_ENGINES") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def require_root_and(program: str) -> None:
    """Refuse to go on without root's rights and a program."""
    if os.geteuid() != 0 or shutil.which(program) is None:
        skip_or_fail(f"a private {program} needs root and the program {program}")
