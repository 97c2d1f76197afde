"""Which version of the Engine API is spoken with an engine."""

from typing import Any

import pytest

from proad.drivers.docker.http.api_version import NEWEST_TESTED, ApiVersion, spoken_with
from proad.drivers.tolerant import Omissions, Value
from proad.errors import EngineUnreachableError


def answered(newest: Any, oldest: Any = "1.12") -> Value:
    answer = {"Version": "99.0", "ApiVersion": newest, "MinAPIVersion": oldest}
    return Value(answer, Omissions("docker"))


def after_tested(minors: int) -> str:
    return str(ApiVersion(NEWEST_TESTED.major, NEWEST_TESTED.minor + minors))


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("1.41", (1, 41)),
        ("1.9", (1, 9)),
        ("10.100", (10, 100)),
        ("", None),
        ("1", None),
        ("1.41.2", None),
        ("1.41\n", None),
        ("v1.41", None),
        ("1.٤", None),
        ("1.1111", None),
    ],
)
def test_api_version_parse_takes_two_numbers_alone(text: str, version: tuple[int, int] | None):
    assert ApiVersion.parse(text) == version


def test_api_versions_compare_as_numbers():
    assert ApiVersion(1, 9) < ApiVersion(1, 10) < ApiVersion(2, 0)
    assert str(ApiVersion(1, 10)) == "1.10"


@pytest.mark.parametrize(
    ("newest", "oldest", "spoken"),
    [
        ("1.9", "1.9", "1.9"),
        ("1.41", "1.12", "1.41"),
        (str(NEWEST_TESTED), str(NEWEST_TESTED), str(NEWEST_TESTED)),
        (after_tested(1), "1.44", str(NEWEST_TESTED)),
        ("9.99", str(NEWEST_TESTED), str(NEWEST_TESTED)),
        ("9.99", "", str(NEWEST_TESTED)),  # engines that tell no minimum have none
        ("9.99", None, str(NEWEST_TESTED)),
    ],
)
def test_spoken_version_is_the_newest_that_both_know(newest: str, oldest: str | None, spoken: str):
    assert str(spoken_with(answered(newest, oldest))) == spoken


def test_spoken_version_with_engine_that_is_too_new_is_refused_with_advice():
    with pytest.raises(EngineUnreachableError) as caught:
        spoken_with(answered(after_tested(9), after_tested(1)))
    assert caught.value.cause == (
        f"Docker Engine 99.0 takes no version of its API before {after_tested(1)}, "
        f"and Proa speaks none after {NEWEST_TESTED}: install a newer Proa, or start dockerd with "
        f"DOCKER_MIN_API_VERSION={NEWEST_TESTED} in its environment"
    )
    assert caught.value.cause in caught.value.message


@pytest.mark.parametrize("newest", ["", None, 1.41, "x", "1.41/../x"])
def test_spoken_version_without_version_in_the_answer_is_refused(newest: Any):
    with pytest.raises(EngineUnreachableError, match="no version of the API"):
        spoken_with(answered(newest))
