"""Which image a name means, told as an engine tells it."""

import pytest

from proad.core.image_names import find_image, in_repository, matches, plain_name, repository_of
from proad.model import Image

DIGEST = f"sha256:{'c' * 64}"
APP = Image(
    id=f"sha256:{'ab' * 32}",
    tags=("reg:5000/team/app:1", "debian:12"),
    digests=(f"reg:5000/team/app@{DIGEST}",),
)
OTHER = Image(id=f"sha256:{'ac' * 32}", tags=("abab:latest",))
IMAGES = [APP, OTHER]


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("debian", "debian:latest"),
        ("docker.io/library/debian:12", "debian:12"),
        ("index.docker.io/team/app", "team/app:latest"),
        ("reg:5000/team/app", "reg:5000/team/app:latest"),
        (f"reg:5000/team/app:1@{DIGEST}", f"reg:5000/team/app@{DIGEST}"),
        (f"docker.io/library/debian:12@{DIGEST}", f"debian@{DIGEST}"),
    ],
)
def test_plain_name_is_what_an_engine_shows(name, plain):
    assert plain_name(name) == plain


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("reg:5000/team/app:1", (APP, "reg:5000/team/app:1")),
        ("docker.io/library/debian:12", (APP, "docker.io/library/debian:12")),
        (f"reg:5000/team/app:9@{DIGEST}", (APP, f"reg:5000/team/app:9@{DIGEST}")),
        (APP.id, (APP, APP.id)),
        ("ab" * 32, (APP, APP.id)),
        ("ababab", (APP, APP.id)),
        ("abab", (OTHER, "abab")),
        ("sha256:acac", (OTHER, OTHER.id)),
    ],
)
def test_find_image_by_name_before_id(name, found):
    assert find_image(IMAGES, name) == found


@pytest.mark.parametrize("name", ["debian", "team/app:1", "aba", "sha256:", "b" * 65, "", "ABAB"])
def test_find_image_of_what_nobody_has_is_none(name):
    assert find_image(IMAGES, name) is None


def test_find_image_by_the_beginning_of_two_ids_is_none():
    twins = [Image(id=f"sha256:abcd{digit * 60}") for digit in "12"]
    assert find_image(twins, "abcd") is None
    assert find_image(twins, "abcd1") == (twins[0], twins[0].id)


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("debian", True),
        ("deb*:12", True),
        ("reg:5000/*/app", True),
        ("reg:5000/*/*:1", True),
        ("*", True),
        ("reg:5000/*", False),
        ("reg:5000/team/app:2", False),
    ],
)
def test_matches_goes_part_by_part(reference, expected):
    assert matches(APP, reference) is expected


def test_names_of_a_repository_are_those_of_its_registry_and_path():
    assert repository_of("reg:5000/team/app:1") == "reg:5000/team/app"
    names = ("debian:12", f"debian@{DIGEST}", "reg:5000/debian:12", "debian/x:12")
    assert [*in_repository(names, "docker.io/library/debian:9")] == [
        "debian:12",
        f"debian@{DIGEST}",
    ]
