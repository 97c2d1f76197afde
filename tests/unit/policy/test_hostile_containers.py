"""Each hostile request and each dangerous container is denied, by the rule that it breaks."""

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostile_containers import FOREIGN, TABLES, Hostile
from proad.model import Container, ContainerSpec
from proad.policy import Profile
from proad.policy.containers import judge_live, with_defaults
from proad.policy.containers.judgement import FREE, JUDGED
from relaxed_policy import RELAXED
from unit.docker.engine_answers import full, inspected
from unit.policy.judging import FINE, container_of, judged, judged_live, spec_of

DEFAULT = Profile()
ALL = [hostile for table in TABLES.values() for hostile in table]
BEFORE = [(hostile, judged(hostile, DEFAULT)) for hostile in ALL]
BEFORE_LIVE = [(foreign, judged_live(foreign, DEFAULT)) for foreign in FOREIGN]
SETTINGS = sorted(({each.setting for each in ALL} | {each.setting for each in FOREIGN}) - {""})


def relaxed(setting: str) -> Profile:
    """Return the default profile with one setting that allows all."""
    value = ("docker.io", "localhost") if setting == "allowed_registries" else RELAXED[setting]
    return Profile.model_validate({setting: value})


def test_tables_have_hundreds_of_requests():
    assert len({repr(each.spec) for each in ALL}) >= 300
    assert len({repr((each.host, each.config)) for each in FOREIGN}) >= 60


@pytest.mark.parametrize("table", TABLES)
def test_hostile_request_is_denied_by_its_rule(table: str):
    for hostile in TABLES[table]:
        found = {(each.rule, each.setting) for each in judged(hostile, DEFAULT)}
        assert (hostile.rule, hostile.setting) in found, (hostile, found)


def test_hostile_container_of_others_is_denied_by_its_rule():
    for foreign in FOREIGN:
        found = {(each.rule, each.setting) for each in judged_live(foreign, DEFAULT)}
        assert (foreign.rule, foreign.setting) in found, (foreign, found)


def test_container_of_others_without_anything_dangerous_is_allowed():
    container = full(inspected(HostConfig=FINE)).container
    assert judge_live(container, DEFAULT) == []


@pytest.mark.parametrize("setting", SETTINGS)
def test_setting_relaxes_its_own_rules_alone(setting: str):
    profile = relaxed(setting)
    for hostile, before in BEFORE:
        if setting == "allowed_registries" and hostile.setting == setting:
            continue  # each registry is listed by itself
        after = judged(hostile, profile)
        kept = [each for each in before if each.setting != setting]
        assert [each for each in kept if each not in after] == [], hostile
        assert [each for each in after if each.setting == setting and each in before] == [], hostile
    for foreign, denied in BEFORE_LIVE:
        kept = [each for each in denied if each.setting != setting]
        found = judged_live(foreign, profile)
        assert [each for each in kept if each not in found] == [], foreign
        assert (foreign.rule, foreign.setting) not in {
            (each.rule, each.setting) for each in found if each.setting == setting
        }, foreign


@pytest.mark.parametrize(
    ("setting", "value", "allowed", "denied"),
    [
        (
            "allowed_capabilities",
            ["NET_ADMIN"],
            {"cap_add": ["cap_net_admin"]},
            {"cap_add": ["SYS_ADMIN"]},
        ),
        (
            "allowed_devices",
            ["/dev/kvm"],
            {"devices": [{"host_path": "/dev/kvm"}]},
            {"devices": [{"host_path": "/dev/kvmm"}]},
        ),
        (
            "allowed_sysctls",
            ["net.core.somaxconn"],
            {"sysctls": {"net.core.somaxconn": "1"}},
            {"sysctls": {"net.core.somaxconn": "1", "kernel.shmmax": "1"}},
        ),
        (
            "publish_addresses",
            ["10.0.0.0/8"],
            {"ports": [{"container_port": 1, "host_ip": "10.1.2.3"}]},
            {"ports": [{"container_port": 1, "host_ip": "0.0.0.0"}]},
        ),
        (
            "allowed_container_networks",
            ["web"],
            {"networks": [{"network": "web"}]},
            {"networks": [{"network": "bridge"}]},
        ),
        (
            "allowed_host_namespaces",
            ["network"],
            {"networks": [{"network": "host"}]},
            {"networks": [{"network": "container:x"}]},
        ),
        ("allowed_log_drivers", ["syslog"], {"log_driver": "syslog"}, {"log_driver": "gelf"}),
        (
            "max_memory_bytes",
            2**30,
            {"resources": {"memory_bytes": 2**30}},
            {"resources": {"memory_bytes": 0}},
        ),
        (
            "max_memory_bytes",
            2**30,
            {"resources": {"memory_bytes": 2**20, "memory_swap_bytes": 2**31}},
            {"resources": {"memory_bytes": 2**20, "memory_swap_bytes": -1}},
        ),
        ("max_cpus", 1.5, {"resources": {"cpus": 1.5}}, {"resources": {"cpus": 1.6}}),
        (
            "max_pids_limit",
            10,
            {"resources": {"pids_limit": 10}},
            {"resources": {"pids_limit": 11}},
        ),
        ("max_shm_bytes", 2**20, {"shm_size_bytes": 2**20}, {"shm_size_bytes": 2**20 + 1}),
        (
            "max_tmpfs_bytes",
            2**20,
            {"mounts": [{"target": "/t", "tmpfs": {}}]},
            {"mounts": [{"target": "/t", "tmpfs": {"size_bytes": 0}}]},
        ),
        (
            "max_ulimits",
            {"nofile": 100},
            {"ulimits": [{"name": "nofile", "soft": 1, "hard": 100}]},
            {"ulimits": [{"name": "nofile", "soft": 1, "hard": -1}]},
        ),
    ],
)
def test_setting_allows_what_it_lists_and_nothing_else(setting, value, allowed, denied):
    profile = Profile.model_validate({setting: value})
    assert judged_spec(allowed, profile) == []
    found = judged_spec(denied, profile)
    assert found != []
    assert {each.setting for each in found} <= {setting, "allow_joined_namespaces"}


def judged_spec(spec, profile):
    from hostile_containers import Hostile

    return judged(Hostile(spec, ""), profile)


def test_each_field_of_a_specification_is_free_or_has_a_rule():
    assert FREE | JUDGED.keys() == {each.name for each in fields(ContainerSpec)}
    assert FREE.isdisjoint(JUDGED)


def test_container_that_cannot_be_read_is_denied():
    assert judge_live(None, DEFAULT) != []
    assert judge_live(Container(image="i", image_id="x"), DEFAULT) != []


def test_defaults_are_filled_in_where_the_specification_says_nothing():
    spec = with_defaults(spec_of({"ports": [{"container_port": 80}]}), DEFAULT)
    assert spec.ports[0].host_ip == "127.0.0.1"
    assert spec.resources.pids_limit == 4096
    assert spec.allow_new_privileges is False
    desktop = Profile(allow_new_privileges=True)
    assert with_defaults(spec_of({}), desktop).allow_new_privileges is True
    assert (
        with_defaults(spec_of({"allow_new_privileges": False}), desktop).allow_new_privileges
        is False
    )


def test_default_of_processes_is_within_their_limit():
    assert with_defaults(spec_of({}), Profile(max_pids_limit=7)).resources.pids_limit == 7
    profile = Profile(default_pids_limit=0, max_pids_limit=0)
    assert with_defaults(spec_of({}), profile).resources.pids_limit is None


def test_profile_without_the_default_network_gives_its_own():
    profile = Profile(allowed_container_networks=("own", "other"))
    assert [each.network for each in with_defaults(spec_of({}), profile).networks] == ["own"]


@given(st.sampled_from(ALL), st.sampled_from(ALL))
def test_two_hostile_requests_together_are_denied_by_both_rules(one, other):
    spec = {**one.spec, **other.spec}
    if "resources" in one.spec.keys() & other.spec.keys():
        return
    merged = replace(other, spec=spec)
    rules = {each.rule for each in judged(merged, DEFAULT)}
    assert other.rule in rules
    if one.spec.keys().isdisjoint(other.spec):
        assert one.rule in rules


def test_views_of_tables_are_what_docker_says():
    """A table whose settings the view does not show would prove nothing."""
    for foreign in FOREIGN:
        container = container_of(foreign)
        assert (
            container.spec_omits
            or container.spec != container_of(replace(foreign, host={}, config={})).spec
        )


@pytest.mark.parametrize(
    "options",
    [
        {"tag": "app/{{.Name}}/{{ .ID }} {x}"},
        {"max-buffer-size": "16m", "mode": "non-blocking"},
        {"max-buffer-size": "4MiB", "max-file": "1000", "max-size": "1g"},
        {"max-file": "sheep"},  # which the engine refuses
    ],
)
def test_log_options_that_cost_the_engine_little_are_allowed(options: dict[str, str]):
    assert judged(Hostile({"log_options": options}, ""), DEFAULT) == []
