"""The program in Go."""

from pathlib import Path

import pytest

from stubs.program import BUILD_TIMEOUT, Setting, build, require

pytestmark = pytest.mark.timeout(BUILD_TIMEOUT)


@pytest.fixture(scope="module")
def program() -> Path:
    require("go", "protoc")
    return build("Go", "go")


def test_program_in_go_takes_a_container_through_its_life(program: Path, setting: Setting):
    listed, *rest = setting.play(program, "./stub")

    assert listed.startswith("listed ")
    assert rest == setting.expected()
