"""`validate`: every limit, with the field path that the caller sees."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proad.errors import InvalidArgumentError
from proad.model import (
    ContainerSpec,
    DomainSpec,
    DomainXml,
    RegistryCredentials,
    SnapshotSpec,
    StopOptions,
    VolumeSpec,
)
from proad.model.checks import validate

CONTAINER = {"image": "busybox"}
DOMAIN = {"name": "vm", "memory_bytes": 64 * 2**20}

unhurried = settings(deadline=None)
"""On a busy machine one example may take long."""


def wrong_fields(cls: type, values: dict[str, Any], prefix: str = "spec") -> set[str]:
    with pytest.raises(InvalidArgumentError) as caught:
        validate(cls, values, prefix=prefix)
    for violation in caught.value.violations:
        assert violation.description
        assert "Value error" not in violation.description
        assert "pydantic" not in violation.description
    return {violation.field for violation in caught.value.violations}


def tried(cls: type, values: dict[str, Any]) -> tuple[Any, set[str]]:
    """Return the value that was made, or else the fields that were wrong."""
    try:
        return validate(cls, values, prefix="spec"), set()
    except InvalidArgumentError as error:
        return None, {violation.field for violation in error.violations}


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"image": ""}, "spec.image"),
        ({"image": "a\0b"}, "spec.image"),
        ({"name": "with space"}, "spec.name"),
        ({"name": "-x"}, "spec.name"),
        ({"name": "a/b"}, "spec.name"),
        ({"name": "naïve"}, "spec.name"),
        ({"name": "x" * 251}, "spec.name"),
        ({"command": ["ok", "a\0b"]}, "spec.command[1]"),
        ({"env": {"A=B": "c"}}, "spec.env"),
        ({"env": {"": "c"}}, "spec.env"),
        ({"working_dir": "relative"}, "spec.working_dir"),
        ({"working_dir": "/a/../b"}, "spec.working_dir"),
        ({"working_dir": "/a/.."}, "spec.working_dir"),
        ({"hostname": "x" * 64}, "spec.hostname"),
        ({"labels": {"": "x"}}, "spec.labels"),
        ({"ports": [{"container_port": 0}]}, "spec.ports[0].container_port"),
        ({"ports": [{"container_port": 65536}]}, "spec.ports[0].container_port"),
        (
            {"ports": [{"container_port": 1}, {"container_port": 1, "host_port": 0}]},
            "spec.ports[1].host_port",
        ),
        ({"ports": [{"container_port": 1, "host_ip": "1.2.3"}]}, "spec.ports[0].host_ip"),
        ({"ports": [{"container_port": 1, "protocol": "ICMP"}]}, "spec.ports[0].protocol"),
        ({"mounts": [{"target": "/a"}]}, "spec.mounts[0]"),
        ({"mounts": [{"target": "/a", "tmpfs": {}, "volume": {}}]}, "spec.mounts[0]"),
        ({"mounts": [{"target": "a", "tmpfs": {}}]}, "spec.mounts[0].target"),
        ({"mounts": [{"target": "/a", "bind": {"source": "etc"}}]}, "spec.mounts[0].bind.source"),
        ({"mounts": [{"target": "/a", "tmpfs": {"mode": 0o10000}}]}, "spec.mounts[0].tmpfs.mode"),
        ({"mounts": [{"target": "/a", "tmpfs": {}}, {"target": "/a", "volume": {}}]}, "spec"),
        ({"ports": [{"container_port": n, "host_port": 80} for n in (1, 2)]}, "spec"),
        ({"networks": [{"network": ""}]}, "spec.networks[0].network"),
        ({"networks": [{"network": "none"}, {"network": "x"}]}, "spec"),
        ({"networks": [{"network": "x"}, {"network": "container:y"}]}, "spec"),
        ({"networks": [{"network": "x", "mac_address": "52:54"}]}, "spec.networks[0].mac_address"),
        ({"dns_servers": ["nowhere"]}, "spec.dns_servers[0]"),
        ({"extra_hosts": {"db": "nowhere"}}, "spec.extra_hosts"),
        ({"resources": {"cpus": -1}}, "spec.resources.cpus"),
        ({"resources": {"cpus": float("nan")}}, "spec.resources.cpus"),
        ({"resources": {"cpus": float("inf")}}, "spec.resources.cpus"),
        ({"resources": {"cpus": 1e12}}, "spec.resources.cpus"),
        ({"resources": {"cpus": 4e-10}}, "spec.resources.cpus"),
        ({"resources": {"cpus": 5e-324}}, "spec.resources.cpus"),
        ({"resources": {"memory_swap_bytes": -2}}, "spec.resources.memory_swap_bytes"),
        ({"resources": {"cpuset_cpus": "all"}}, "spec.resources.cpuset_cpus"),
        ({"ulimits": [{"name": "NOFILE", "soft": 1, "hard": 1}]}, "spec.ulimits[0].name"),
        ({"ulimits": [{"name": "nofile", "soft": -2, "hard": 1}]}, "spec.ulimits[0].soft"),
        ({"restart_policy": {"mode": "ALWAYS", "max_retries": 1}}, "spec.restart_policy"),
        ({"health_check": {"command": ["a"], "disabled": True}}, "spec.health_check"),
        ({"health_check": {"interval": timedelta(0)}}, "spec.health_check.interval"),
        ({"health_check": {"interval": timedelta(days=999999)}}, "spec.health_check.interval"),
        (
            {"devices": [{"host_path": "/dev/null", "permissions": "x"}]},
            "spec.devices[0].permissions",
        ),
        ({"stop_signal": "term"}, "spec.stop_signal"),
        ({"stop_timeout": timedelta(seconds=-1)}, "spec.stop_timeout"),
        ({"stop_timeout": timedelta(hours=2)}, "spec.stop_timeout"),
        ({"lifetime": "TRANSIENT", "restart_policy": {"mode": "ALWAYS"}}, "spec"),
        ({"lifetime": "FOREVER"}, "spec.lifetime"),
    ],
)
def test_validate_of_a_container_with_an_invalid_field_names_it(values: dict[str, Any], field: str):
    assert wrong_fields(ContainerSpec, CONTAINER | values) == {field}


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": ""}, "spec.name"),
        ({"name": "../etc"}, "spec.name"),
        ({"name": ".hidden"}, "spec.name"),
        ({"uuid": "not-one"}, "spec.uuid"),
        ({"title": "two\nlines"}, "spec.title"),
        ({"description": "bell \a"}, "spec.description"),
        ({"memory_bytes": -1}, "spec.memory_bytes"),
        ({"memory_bytes": 2**20}, "spec.memory_bytes"),
        ({"memory_bytes": 64 * 2**20 + 1}, "spec.memory_bytes"),
        ({"memory_bytes": 2**60}, "spec.memory_bytes"),
        ({"vcpus": 0}, "spec.vcpus"),
        ({"vcpus": 5000}, "spec.vcpus"),
        ({"cdroms": [{"path": "x.iso"}]}, "spec.cdroms[0].path"),
        ({"disks": [{}]}, "spec.disks[0]"),
        ({"disks": [{"new_volume": {}}]}, "spec.disks[0].new_volume"),
        (
            {"disks": [{"new_volume": {"capacity_bytes": 2**61}}]},
            "spec.disks[0].new_volume.capacity_bytes",
        ),
        (
            {"disks": [{"new_volume": {"base": {"name": "b"}, "format": "RAW"}}]},
            "spec.disks[0].new_volume",
        ),
        ({"disks": [{"volume": {"name": "a/b"}}]}, "spec.disks[0].volume.name"),
        ({"disks": [{"volume": {"name": "../a"}}]}, "spec.disks[0].volume.name"),
        ({"disks": [{"volume": {"name": ".."}}]}, "spec.disks[0].volume.name"),
        ({"disks": [{"volume": {"name": "."}}]}, "spec.disks[0].volume.name"),
        ({"disks": [{"volume": {"name": ""}}]}, "spec.disks[0].volume.name"),
        ({"disks": [{"volume": {"name": "a\0"}}]}, "spec.disks[0].volume.name"),
        ({"disks": [{"volume": {"name": "ü" * 128}}]}, "spec.disks[0].volume.name"),
        ({"cdroms": [{"volume": {"name": "/etc/passwd"}}]}, "spec.cdroms[0].volume.name"),
        (
            {"disks": [{"new_volume": {"volume_name": "a b"}}]},
            "spec.disks[0].new_volume.volume_name",
        ),
        ({"disks": [{"volume": {"name": "a"}}], "diskless": True}, "spec"),
        ({"networks": [{}], "networkless": True}, "spec"),
        ({"networks": [{"mac_address": "52:54:00:12:34:5g"}]}, "spec.networks[0].mac_address"),
        ({"networks": [{"mac_address": "01:00:5e:00:00:01"}]}, "spec.networks[0].mac_address"),
        ({"networks": [{"mac_address": "fF:ff:ff:ff:ff:ff"}]}, "spec.networks[0].mac_address"),
        ({"boot_order": ["DISK", "DISK"]}, "spec"),
        ({"boot_order": ["FLOPPY"]}, "spec.boot_order[0]"),
        ({"machine": "q35; rm"}, "spec.machine"),
        ({"labels": {"a": "\0"}}, "spec.labels.a"),
        ({"autostart": True, "lifetime": "TRANSIENT"}, "spec"),
    ],
)
def test_validate_of_a_domain_with_an_invalid_field_names_it(values: dict[str, Any], field: str):
    assert wrong_fields(DomainSpec, DOMAIN | values) == {field}


@pytest.mark.parametrize(
    ("cls", "values", "field"),
    [
        (StopOptions, {"grace_period": timedelta(seconds=-1)}, "grace_period"),
        (StopOptions, {"grace_period": timedelta(hours=2)}, "grace_period"),
        (StopOptions, {"mode": "NICELY"}, "mode"),
        (SnapshotSpec, {"name": "a b"}, "name"),
        (SnapshotSpec, {"name": "x" * 201}, "name"),
        (VolumeSpec, {"name": "v"}, ""),
        (VolumeSpec, {"name": "v", "base": {"name": "b"}, "format": "RAW"}, ""),
        (VolumeSpec, {"name": "v", "capacity_bytes": -1}, "capacity_bytes"),
        (DomainXml, {"xml": ""}, "xml"),
        (DomainXml, {"xml": "x" * (2**20 + 1)}, "xml"),
        (RegistryCredentials, {"username": "", "password": "p"}, "username"),
    ],
)
def test_validate_of_other_types_with_an_invalid_field_names_it(
    cls: type, values: dict[str, Any], field: str
):
    assert wrong_fields(cls, values, prefix="") == {field}


def test_validate_names_all_invalid_fields():
    values = {"name": "a b", "memory_bytes": 1, "vcpus": 0}
    assert wrong_fields(DomainSpec, values) == {"spec.name", "spec.memory_bytes", "spec.vcpus"}


def test_validate_names_missing_fields():
    assert wrong_fields(DomainSpec, {}) == {"spec.name", "spec.memory_bytes"}


def test_validate_has_messages_in_sentences():
    with pytest.raises(InvalidArgumentError) as caught:
        validate(DomainSpec, DOMAIN | {"cdroms": [{"path": "x.iso"}]}, prefix="spec")
    assert caught.value.message == "spec.cdroms[0].path: must be an absolute path without '..'"


def test_repr_hides_a_password():
    credentials = validate(RegistryCredentials, {"username": "u", "password": "secret"})
    assert "secret" not in repr(credentials)


def test_validate_of_an_invalid_password_hides_it():
    with pytest.raises(InvalidArgumentError) as caught:
        validate(RegistryCredentials, {"username": "u", "password": "secret\0"})
    assert "secret" not in str(caught.value)


def test_domain_spec_has_its_defaults():
    spec = validate(DomainSpec, DOMAIN)
    (disk,) = spec.effective_disks
    assert disk.new_volume is not None
    assert disk.new_volume.capacity_bytes == 10 * 2**30
    assert [network.network for network in spec.effective_networks] == ["default"]
    assert spec.effective_boot_order == ("DISK",)
    bare = validate(DomainSpec, DOMAIN | {"diskless": True, "networkless": True})
    assert (bare.effective_disks, bare.effective_networks) == ((), ())
    assert bare.effective_boot_order == ()
    diskless = validate(DomainSpec, DOMAIN | {"diskless": True})
    assert diskless.effective_boot_order == ("NETWORK",)
    installer = validate(DomainSpec, DOMAIN | {"cdroms": [{}]})
    assert installer.effective_boot_order == ("DISK", "CDROM")
    assert installer.boot_cdrom == 0
    windows = validate(
        DomainSpec, DOMAIN | {"cdroms": [{}, {"path": "/a.iso"}, {"path": "/b.iso"}]}
    )
    assert windows.boot_cdrom == 1


@unhurried
@given(st.text(max_size=300))
def test_validate_of_any_name_accepts_or_refuses_it(name: str):
    """A name that is taken is also safe as the start of a file name."""
    spec, wrong = tried(DomainSpec, DOMAIN | {"name": name})
    if spec is None:
        assert wrong == {"spec.name"}
    else:
        assert spec.name == name
        assert name.isascii()
        assert name[0].isalnum()
        assert not set(name) & set("/\\\0 \n\t")


@unhurried
@given(st.text(alphabet="/.a\0é", max_size=12))
def test_validate_of_any_path_accepts_or_refuses_it(path: str):
    spec, wrong = tried(ContainerSpec, CONTAINER | {"working_dir": path})
    good = path.startswith("/") and ".." not in path.split("/") and "\0" not in path
    assert wrong == (set() if good else {"spec.working_dir"})
    assert not good or spec.working_dir == path


@unhurried
@given(
    st.integers(min_value=-(2**70), max_value=2**70)
    | st.integers(2**10, 2**40).map(lambda n: n * 1024)
)
def test_validate_of_any_memory_size_accepts_or_refuses_it(size: int):
    spec, wrong = tried(DomainSpec, DOMAIN | {"memory_bytes": size})
    good = 32 * 2**20 <= size <= 2**46 and size % 1024 == 0
    assert wrong == (set() if good else {"spec.memory_bytes"})
    assert not good or spec.memory_bytes == size


@unhurried
@given(st.uuids(), st.sampled_from(["{}", "{{{}}}", "urn:uuid:{}"]))
def test_validate_of_a_uuid_returns_the_canonical_form(uuid: UUID, form: str):
    spec = validate(
        DomainSpec, DOMAIN | {"uuid": form.format(uuid).upper().replace("URN:UUID", "urn:uuid")}
    )
    assert spec.uuid == str(uuid)


@unhurried
@given(
    st.dictionaries(
        st.sampled_from(["name", "memory_bytes", "vcpus", "disks", "labels", "cdroms", "nonsense"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.text(max_size=5), inner, max_size=3)
            ),
            max_leaves=5,
        ),
    )
)
def test_validate_of_any_values_returns_a_domain_or_a_clear_error(values: dict[str, Any]):
    spec, wrong = tried(DomainSpec, values)
    assert isinstance(spec, DomainSpec) or wrong
    assert all(field.startswith("spec") for field in wrong)
