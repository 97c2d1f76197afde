"""Containers that need one setting of a profile each, and nothing else that is not allowed anyway.

TOKEN stands for a name of the test's own: of a volume with options, of a network that has ADDRESS,
of another container that runs, and of a folder below FOLDERS with a mode that lets it be mounted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TOKEN = "@TOKEN@"
FOLDERS = "/srv"
ADDRESS = "@ADDRESS@"
_FOLDER = f"{FOLDERS}/{TOKEN}"
_MIB = 2**20
_BIND = {"Type": "bind", "Source": _FOLDER, "Target": "/h"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """A container that needs one setting.

    Attributes:
        setting: the setting.
        rule: the rule that denies the container.
        value: what the setting has to be.
        spec: fields of a ContainerSpec; empty: the contract cannot express it.
        host: fields of Docker's HostConfig, where the contract cannot express it.
        strict: what the setting is where the container is denied; None: its default.
        besides: what both profiles have, since the setting is of no use without.
        unstartable: why no host of the tests can start it; empty: it starts.
    """

    setting: str
    rule: str
    value: Any = True
    spec: Mapping[str, Any] = field(default_factory=dict)
    host: Mapping[str, Any] = field(default_factory=dict)
    strict: Any = None
    besides: Mapping[str, Any] = field(default_factory=dict)
    unstartable: str = ""


NEEDS = (
    Need(
        setting="allowed_registries",
        rule="registry on loopback or link-local",
        strict=("*",),
        value=("*", "localhost:5000"),
        spec={"image": f"localhost:5000/{TOKEN}:1"},
    ),
    Need(
        setting="max_memory_bytes",
        rule="beyond the limit",
        strict=64 * _MIB,
        value=128 * _MIB,
        spec={"resources": {"memory_bytes": 128 * _MIB}},
    ),
    Need(
        setting="max_cpus",
        rule="beyond the limit",
        strict=0.5,
        value=1,
        spec={"resources": {"cpus": 1}},
    ),
    Need(
        setting="max_pids_limit",
        rule="beyond the limit",
        value=0,
        spec={"resources": {"pids_limit": 70_000}},
    ),
    Need(
        setting="max_ulimits",
        rule="beyond the limit",
        strict={"nofile": 100},
        value={"nofile": 200},
        spec={"ulimits": [{"name": "nofile", "soft": 200, "hard": 200}]},
    ),
    Need(
        setting="max_shm_bytes",
        rule="beyond the limit",
        strict=_MIB,
        value=2 * _MIB,
        spec={"shm_size_bytes": 2 * _MIB},
    ),
    Need(
        setting="max_tmpfs_bytes",
        rule="beyond the limit",
        strict=_MIB,
        value=2 * _MIB,
        spec={"mounts": [{"target": "/t", "tmpfs": {"size_bytes": 2 * _MIB}}]},
    ),
    Need(
        setting="publish_addresses",
        rule="address not listed",
        value=("0.0.0.0/32",),
        spec={
            "networks": [{"network": "bridge"}],
            "ports": [{"container_port": 80, "host_ip": "0.0.0.0"}],
        },
    ),
    Need(
        setting="allowed_container_networks",
        rule="network not listed",
        strict=("none", "bridge"),
        value=("*",),
        spec={"networks": [{"network": TOKEN}]},
    ),
    Need(
        setting="allowed_log_drivers",
        rule="log driver not listed",
        strict=("json-file",),
        value=("local",),
        spec={"log_driver": "local"},
    ),
    Need(
        setting="allowed_volume_drivers",
        rule="volume driver not listed",
        strict=(),
        value=("local",),
        spec={"mounts": [{"target": "/v", "volume": {"name": f"{TOKEN}-plain"}}]},
    ),
    Need(
        setting="allow_volume_options",
        rule="volume with options",
        spec={"mounts": [{"target": "/v", "volume": {"name": TOKEN}}]},
        besides={"allowed_volume_drivers": ("local",)},
    ),
    Need(
        setting="allow_volumes_from",
        rule="mounts of another container",
        host={"VolumesFrom": [TOKEN]},
    ),
    Need(
        setting="bind_roots",
        rule="bind outside bind_roots",
        value=(_FOLDER,),
        spec={"mounts": [{"target": "/h", "bind": {"source": _FOLDER}}]},
    ),
    Need(
        setting="allow_mount_propagation",
        rule="mount propagation",
        host={"Mounts": [{**_BIND, "BindOptions": {"Propagation": "rslave"}}]},
        besides={"bind_roots": (_FOLDER,)},
    ),
    Need(
        setting="allow_privileged",
        rule="privileged",
        host={"Privileged": True},
        unstartable="it takes capabilities that a machine of the tests may lack itself",
    ),
    Need(
        setting="allow_new_privileges", rule="new privileges", spec={"allow_new_privileges": True}
    ),
    Need(
        setting="allow_unconfined",
        rule="unconfined",
        host={"SecurityOpt": ["no-new-privileges", "seccomp=unconfined"]},
    ),
    Need(setting="allow_unmasked_paths", rule="unmasked path", spec={"working_dir": "/proc/sys"}),
    Need(
        setting="allowed_capabilities",
        rule="capability not listed",
        value=("NET_ADMIN",),
        spec={"cap_add": ["NET_ADMIN"]},
    ),
    Need(
        setting="allowed_host_namespaces",
        rule="host namespace",
        value=("network",),
        spec={"networks": [{"network": "host"}]},
    ),
    Need(
        setting="allow_joined_namespaces",
        rule="joined namespace",
        host={"PidMode": f"container:{TOKEN}"},
    ),
    Need(
        setting="allowed_devices",
        rule="device not listed",
        value=("/dev/null",),
        spec={"devices": [{"host_path": "/dev/null", "container_path": "/dev/n"}]},
    ),
    Need(
        setting="allow_device_requests",
        rule="device requests",
        host={"DeviceRequests": [{"Driver": "nvidia", "Count": 1, "Capabilities": [["gpu"]]}]},
        unstartable="it takes a GPU with its driver",
    ),
    Need(
        setting="allow_device_rules",
        rule="device rules",
        host={"DeviceCgroupRules": ["c 1:3 r"]},
    ),
    Need(
        setting="allowed_sysctls",
        rule="kernel parameter not listed",
        value=("net.ipv4.ip_forward",),
        spec={"sysctls": {"net.ipv4.ip_forward": "1"}},
    ),
    Need(
        setting="allowed_runtimes",
        rule="runtime not listed",
        value=("io.containerd.runtime.v1.linux",),
        host={"Runtime": "io.containerd.runtime.v1.linux"},
        unstartable="engines since 23 have no second runtime of their own",
    ),
    Need(
        setting="allowed_cgroup_parents",
        rule="cgroup parent not listed",
        value=("/docker",),
        host={"CgroupParent": "/docker"},
    ),
    Need(setting="allow_oom_settings", rule="memory shortage", host={"OomScoreAdj": 100}),
    Need(
        setting="allow_realtime",
        rule="real-time scheduling",
        spec={"ulimits": [{"name": "rttime", "soft": 9**9, "hard": 9**9}]},
    ),
    Need(setting="allow_group_add", rule="further groups", spec={"group_add": ["999"]}),
    Need(
        setting="allow_links",
        rule="links",
        host={"Links": [f"{TOKEN}:other"], "NetworkMode": "bridge"},
    ),
    Need(setting="allow_dns", rule="name servers", spec={"dns_servers": ["192.0.2.1"]}),
    Need(setting="allow_extra_hosts", rule="extra hosts", spec={"extra_hosts": {"a": "192.0.2.1"}}),
    Need(
        setting="allow_fixed_addresses",
        rule="fixed address",
        spec={"networks": [{"network": TOKEN, "ipv4_address": ADDRESS}]},
        besides={"allowed_container_networks": ("*",)},
    ),
    Need(
        setting="allowed_engine_settings",
        rule="setting not listed",
        value=("HostConfig.Binds.z",),
        host={"Binds": [f"{_FOLDER}:/h:z"]},
        besides={"bind_roots": (_FOLDER,)},
    ),
)
"""One for each setting of containers, but for those of `UNEXERCISED`."""

UNEXERCISED = {
    "allow_storage_options": "no engine of the tests has a storage driver that takes any",
}
"""The settings that no host of the tests can exercise, and why."""
