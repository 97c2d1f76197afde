"""Profiles within a ceiling."""

import re
from typing import Any

import pytest
from pydantic import ValidationError

from proad.config import ConfigError, load_settings
from proad.policy import SHIPPED, Foreign, Policy, Profile
from relaxed_policy import RELAXED_POLICY

# A setting, a ceiling, values within it, values beyond it.
COMPARED: list[tuple[str, Any, list[Any], list[Any]]] = [
    ("foreign", "lifecycle", ["view", "lifecycle"], ["full"]),
    ("allow_privileged", True, [True, False], []),
    ("allow_privileged", False, [False], [True]),
    ("max_cpus", 0, [0, 0.5, 900], []),
    ("max_cpus", 4, [0.5, 4], [0, 4.5]),
    ("max_ulimits", {}, [{}, {"nofile": 9}], []),
    ("max_ulimits", {"nofile": 9}, [{"nofile": 9}, {"nofile": 1, "core": 0}], [{}, {"nofile": 10}]),
    ("allowed_sysctls", ["a", "b"], [[], ["a"], ["b", "a"]], [["c"], ["a", "c"], ["*"]]),
    ("allowed_sysctls", ["*"], [[], ["a"], ["*"]], []),
    ("bind_roots", ["/srv"], [[], ["/srv"], ["/srv/a/b"]], [["/"], ["/srvx"], ["/srv", "/a"]]),
    ("shared_volumes", ["p/a", "p/b*"], [[], ["p/a"], ["p/b*"], ["p/bc", "p/bd*"]], [["p/a*"], ["p/*"], ["q/b"]]),
    ("shared_volumes", ["p/*"], [["p/*"], ["p/x"]], [["q/*"], ["px/y"]]),
    ("publish_addresses", ["10.0.0.0/8"], [["10.1.2.3"], ["10.0.0.0/9"]], [["::1"], ["0.0.0.0/0"]]),
    ("allowed_registries", ["*.a.test", "b.test:5000"], [["x.a.test:1"], ["b.test:5000"]], [["*"], ["a.test"], ["b.test"], ["b.test:1"]]),
    ("allowed_registries", ["*"], [["*"], ["a.test"], ["*.a.test"]], [["localhost:5000"], ["127.1"], ["[::1]:5000"]]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "ceiling", "value"),
    [(name, ceiling, value) for name, ceiling, within, _ in COMPARED for value in within],
)
def test_policy_setting_within_the_ceiling_is_kept(name, ceiling, value):
    policy = Policy.model_validate({name: ceiling, "profiles": {"p": {name: value}}})

    assert policy.effective()["p"] == policy.profiles["p"].model_copy(
        update={
            each: getattr(policy.effective()["default"], each)
            for each in Profile.model_fields
            if each != name
        }
    )


@pytest.mark.parametrize(
    ("name", "ceiling", "value"),
    [(name, ceiling, value) for name, ceiling, _, beyond in COMPARED for value in beyond],
)
def test_policy_setting_beyond_the_ceiling_is_an_error_that_names_it(name, ceiling, value):
    with pytest.raises(ValidationError, match=rf"profiles\.p\.{name}: goes beyond the ceiling"):
        Policy.model_validate({name: ceiling, "profiles": {"p": {name: value}}})


@pytest.mark.parametrize(
    ("name", "ceiling", "effective"),
    [
        ("foreign", "view", Foreign.VIEW),
        ("max_pids_limit", 100, 100),
        ("max_pids_limit", 0, 65_536),
        ("max_memory_bytes", 2**30, 2**30),
        ("max_ulimits", {"nofile": 9}, {"nofile": 9}),
        ("allowed_log_drivers", ["local", "syslog"], ("local",)),
        ("allowed_log_drivers", ["*"], ("json-file", "local", "none")),
        ("allowed_pools", ["a"], ("a",)),
        ("bind_roots", ["/srv"], ()),
        ("allowed_registries", ["*", "localhost:5000"], ("*", "localhost:5000")),
        ("allow_privileged", True, False),
        ("default_pids_limit", 7, 4_096),
    ],
)
def test_policy_setting_not_stated_is_safe_and_within_the_ceiling(name, ceiling, effective):
    policy = Policy.model_validate({name: ceiling, "profiles": {"p": {}}})

    for profile in ("p", "default", "desktop"):
        assert getattr(policy.effective()[profile], name) == effective


def test_policy_ships_default_and_desktop():
    effective = Policy().effective()

    assert effective == SHIPPED
    assert effective["default"] == Profile()
    assert not effective["default"].allow_new_privileges
    assert effective["desktop"] == Profile(allow_new_privileges=True)


def test_policy_profile_takes_the_place_of_a_shipped_one():
    policy = Policy.model_validate({"profiles": {"default": {"foreign": "view"}}})

    assert policy.effective()["default"].foreign is Foreign.VIEW
    assert policy.effective()["desktop"].foreign is Foreign.LIFECYCLE


def test_policy_ceiling_below_a_shipped_profile_cuts_it():
    policy = Policy(allow_new_privileges=False)

    assert not policy.effective()["desktop"].allow_new_privileges


def test_profile_setting_is_explained_and_compared():
    explained = set(re.findall(r"\b[a-z_]+\b", Profile.__doc__ or ""))

    for name, field in Profile.model_fields.items():
        assert name in explained
        assert [each for each in field.metadata if hasattr(each, "exceeds")], name


def test_profile_allows_nothing_by_default_that_a_switch_could_allow():
    assert not [name for name, value in Profile() if value is True]


def test_policy_default_is_within_the_relaxed_one():
    everything = RELAXED_POLICY.model_copy(update={"allowed_registries": ("*",)})
    stated = Profile.model_validate(Profile().model_dump())

    assert stated.exceeding(everything) == []
    assert len(everything.exceeding(Profile())) > 40


def test_load_settings_of_a_profile_beyond_the_ceiling_names_file_and_setting(tmp_path):
    config = tmp_path / "proa.toml"
    config.write_text("[policy.profiles.ci]\nbind_roots = ['/srv']\nallow_dns = true\n")

    with pytest.raises(ConfigError) as caught:
        load_settings(config)

    assert str(caught.value) == (
        f"{config}: policy: profiles.ci.bind_roots: goes beyond the ceiling; "
        "raise policy.bind_roots as well; profiles.ci.allow_dns: goes beyond the ceiling; "
        "raise policy.allow_dns as well"
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[policy]\nnope = 1", "policy.nope: unknown key"),
        ("[policy]\nforeign = 'some'", "policy.foreign: "),
        ("[policy]\nbind_roots = ['srv']", "policy.bind_roots.0: must be an absolute path"),
        ("[policy]\nbind_roots = ['/srv/../etc']", "policy.bind_roots.0: must be an absolute"),
        ("[policy]\nmax_cpus = -1", "policy.max_cpus: "),
        ("[policy]\npublish_addresses = ['eth0']", "policy.publish_addresses.0: 'eth0' is no"),
        ("[policy]\nallowed_registries = ['http://a']", "policy.allowed_registries.0: give "),
        ("[policy.profiles.'a b']", "policy.profiles.a b"),
        ("policy = 1", "policy: "),
        (
            "allowed_registries = ['a']\n[policy]\nallowed_registries = ['b']",
            "policy: set allowed_registries here or above",
        ),
    ],
)
def test_load_settings_of_a_wrong_policy_names_the_key(tmp_path, text, told):
    config = tmp_path / "proa.toml"
    config.write_text(text)

    with pytest.raises(ConfigError, match=re.escape(told)):
        load_settings(config)


def test_load_settings_allowed_registries_is_the_ceiling(monkeypatch):
    monkeypatch.setenv("PROA_ALLOWED_REGISTRIES", "a.test, *.b.test")

    policy = load_settings(None).policy

    assert policy.allowed_registries == ("a.test", "*.b.test")
    assert policy.effective()["default"].allowed_registries == ("a.test", "*.b.test")


@pytest.mark.parametrize(
    "pattern", ["golden", "*", "*/golden", "p/*golden", "p/", "/golden", "p*/x"]
)
def test_profile_shared_volume_is_a_pool_and_a_name(pattern):
    with pytest.raises(ValidationError, match="must be POOL/NAME"):
        Profile(shared_volumes=(pattern,))
