"""The program in TypeScript."""

from pathlib import Path

import pytest

from stubs.program import BUILD_TIMEOUT, Setting, build, require

pytestmark = pytest.mark.timeout(BUILD_TIMEOUT)


@pytest.fixture(scope="module")
def program() -> Path:
    require("node", "npm", "protoc")
    return build("TypeScript", "typescript")


@pytest.mark.parametrize("library", ["connect", "grpc-js"])
def test_program_in_typescript_takes_a_container_through_its_life(
    program: Path, setting: Setting, library: str
):
    listed, *rest = setting.play(program, "node", f"build/{library}.js")

    assert listed.startswith("listed ")
    assert rest == setting.expected()
