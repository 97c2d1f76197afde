"""The program in C++."""

from pathlib import Path

import pytest

from stubs.program import BUILD_TIMEOUT, Setting, build, require

pytestmark = pytest.mark.timeout(BUILD_TIMEOUT)


@pytest.fixture(scope="module")
def program() -> Path:
    require("cmake", "g++", "grpc_cpp_plugin", "pkg-config", "protoc")
    return build("C++", "cpp")


def test_program_in_cpp_takes_a_container_through_its_life(program: Path, setting: Setting):
    listed, *rest = setting.play(program, "build/stub")

    assert listed.startswith("listed ")
    assert rest == setting.expected()
