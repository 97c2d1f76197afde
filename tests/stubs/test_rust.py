"""The program in Rust."""

from pathlib import Path

import pytest

from stubs.program import BUILD_TIMEOUT, Setting, build, require

pytestmark = pytest.mark.timeout(BUILD_TIMEOUT)


@pytest.fixture(scope="module")
def program() -> Path:
    require("cargo", "protoc")
    return build("Rust", "rust")


def test_program_in_rust_takes_a_container_through_its_life(program: Path, setting: Setting):
    listed, *rest = setting.play(program, "target/debug/stub")

    assert listed.startswith("listed ")
    assert rest == setting.expected()
