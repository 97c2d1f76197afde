"""Dangerous settings of containers of others have a name of their own, with their value."""

from typing import Any

import pytest

from unit.docker.engine_answers import full, inspected

MASKED = [
    *("/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats"),
    *("/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi"),
    "/sys/firmware",
]
READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
BIND = {"Type": "bind", "Source": "/a", "Target": "/b"}
VOLUME = {"Type": "volume", "Source": "a", "Target": "/b"}
DISGUISE = {"Name": "local", "Options": {"type": "none", "o": "bind", "device": "/"}}
OMITTED: list[tuple[dict[str, Any], dict[str, object]]] = [
    ({"MaskedPaths": None, "ReadonlyPaths": None}, {}),
    ({"MaskedPaths": MASKED, "ReadonlyPaths": READ_ONLY}, {}),
    ({"MaskedPaths": [*MASKED, "/proc/interrupts"]}, {}),
    ({"MaskedPaths": []}, {"HostConfig.MaskedPaths": []}),
    ({"MaskedPaths": MASKED[1:]}, {"HostConfig.MaskedPaths": MASKED[1:]}),
    ({"MaskedPaths": ["/nothing"]}, {"HostConfig.MaskedPaths": ["/nothing"]}),
    ({"ReadonlyPaths": READ_ONLY[:-1]}, {"HostConfig.ReadonlyPaths": READ_ONLY[:-1]}),
    ({"Mounts": [BIND | {"BindOptions": {"Propagation": "rprivate"}}]}, {}),
    (
        {"Mounts": [BIND | {"BindOptions": {"Propagation": "rshared"}}]},
        {"HostConfig.Mounts.BindOptions.Propagation": "rshared"},
    ),
    (
        {"Mounts": [VOLUME | {"VolumeOptions": {"DriverConfig": DISGUISE}}]},
        {"HostConfig.Mounts.VolumeOptions.DriverConfig": DISGUISE},
    ),
    (
        {"Mounts": [VOLUME | {"VolumeOptions": {"Subpath": "../.."}}]},
        {"HostConfig.Mounts.VolumeOptions.Subpath": "../.."},
    ),
    (
        {"Mounts": [{"Type": "image", "Source": "a", "Target": "/b"}]},
        {"HostConfig.Mounts.Type": "image"},
    ),
    ({"Binds": ["/a:/b:ro", "/c:/d"]}, {}),
    ({"Binds": ["/a:/b:rshared"]}, {"HostConfig.Binds.rshared": "/a:/b:rshared"}),
    ({"Binds": ["/a:/b:ro,z"]}, {"HostConfig.Binds.z": "/a:/b:ro,z"}),
    ({"PidMode": "container:x"}, {"HostConfig.PidMode": "container:x"}),
    ({"VolumesFrom": ["x"]}, {"HostConfig.VolumesFrom": ["x"]}),
    ({"Whatever": {"New": 1}}, {"HostConfig.Whatever": {"New": 1}}),
]


@pytest.mark.parametrize(("host", "omitted"), OMITTED)
def test_omissions_name_each_setting_with_its_value(
    host: dict[str, Any], omitted: dict[str, object]
):
    container = full(inspected(HostConfig=host)).container
    assert container is not None
    found = {k: v for k, v in container.omissions.items() if k.startswith("HostConfig")}
    assert found == {name: (value,) for name, value in omitted.items()}
    assert container.spec_omits == tuple(container.omissions)


def test_omissions_of_two_mounts_keep_both_values():
    shared, slave = (
        BIND | {"Target": f"/{word}", "BindOptions": {"Propagation": word}}
        for word in ("rshared", "rslave")
    )
    container = full(inspected(HostConfig={"Mounts": [shared, slave]})).container
    assert container is not None
    found = container.omissions["HostConfig.Mounts.BindOptions.Propagation"]
    assert found == ("rshared", "rslave")
