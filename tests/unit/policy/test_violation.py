"""Which violations an update is to blame for."""

import pytest

from proad.errors import PolicyDeniedError, Violation
from proad.policy.violation import below, of_paths


def at(field):
    return Violation(field=field, rule="r", setting="s", message="m")


@pytest.mark.parametrize(
    ("field", "path", "concerns"),
    [
        ("ports[0].host_ip", "ports", True),
        ("ports", "ports", True),
        ("ports[0]", "port", False),
        ("env[A.B].x", "env", True),
        ("resources.cpus", "resources.cpus", True),
        ("resources", "resources.cpus", True),
        ("resources.memory_bytes", "resources.cpus", False),
        ("", "ports", False),
    ],
)
def test_of_paths_keeps_what_stands_in_a_field_that_changes(field, path, concerns):
    assert bool(of_paths([at(field)], {path})) is concerns


def test_below_puts_the_field_of_the_request_before_the_others():
    assert [each.field for each in below("spec", [at("a[1]"), at("")])] == ["spec.a[1]", "spec"]


def test_policy_denied_tells_all_and_the_first_for_programs():
    never = Violation(rule="never", message="the socket of an engine is")
    error = PolicyDeniedError([at("spec.x"), never], profile="ci", path="local/container/1")

    assert error.message == (
        "the policy of this host denies this to the profile 'ci': spec.x: m (setting s); "
        "the socket of an engine is (no setting allows it)"
    )
    assert error.metadata == {
        "rule": "r",
        "setting": "s",
        "settings": "",
        "profile": "ci",
        "path": "local/container/1",
    }


def test_policy_denied_names_the_settings_that_together_allow_all():
    violations = [Violation(rule="r", setting=setting, message="m") for setting in "aba"]

    assert PolicyDeniedError(violations, profile="ci").metadata["settings"] == "a,b"
