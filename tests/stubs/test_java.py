"""The program in Java."""

from pathlib import Path

import pytest

from stubs.program import BUILD_TIMEOUT, Setting, build, require

pytestmark = pytest.mark.timeout(BUILD_TIMEOUT)


@pytest.fixture(scope="module")
def program() -> Path:
    require("java", "mvn")
    return build("Java", "java")


def test_program_in_java_takes_a_container_through_its_life(program: Path, setting: Setting):
    listed, *rest = setting.play(
        program, "java", "-cp", "target/classes:target/dependency/*", "stub.Stub"
    )

    assert listed.startswith("listed ")
    assert rest == setting.expected()
