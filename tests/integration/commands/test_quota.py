"""`proad quota`: the limits that users and teams have of their own."""

import pytest


@pytest.fixture
def owners(given):
    given("team", "add", "red")
    given("user", "add", "ann", "--scope", "basic", "--password-stdin", stdin="sehr geheim\n")


@pytest.mark.usefixtures("owners")
def test_quota_set_changes_what_is_named_and_list_shows_it(proad):
    proad("quota", "set", "RED", "resources=20", "memory_bytes=17179869184")
    proad("quota", "set", "ann", "cpus=1.5")
    proad("quota", "set", "red", "resources=default", "ports=3")

    assert proad("quota", "list").splitlines() == [
        "OWNER  LIMITS",
        "ann    cpus=1.5",
        "red    memory_bytes=17179869184 ports=3",
    ]


@pytest.mark.usefixtures("owners")
def test_quota_set_of_what_is_none_changes_nothing(proad, given):
    number = "a number above 0, or 'default'"
    for owner, limit, told in (
        ("nobody", "resources=1", "no user and no team 'nobody'"),
        ("ann", "bananas=1", "there are resources, running"),
        ("ann", "resources=0", number),
        ("ann", "resources=1.5", number),
        ("ann", "cpus=nan", number),
        ("ann", "cpus=inf", number),
        ("ann", "resources", number),
        ("ann", f"memory_bytes={2**63}", number),
    ):
        assert told in given("quota", "set", owner, "ports=3", limit, code=1)
    assert proad("quota", "list").splitlines() == ["OWNER  LIMITS"]
