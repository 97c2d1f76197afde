"""Containers that somebody made with Docker's own API, each with one dangerous setting."""

from hostile_containers.hostile import Foreign

_DISGUISE = {"type": "none", "o": "bind", "device": "/"}


def _mount(**more: object) -> dict[str, object]:
    return {"Mounts": [{"Type": "bind", "Source": "/tmp", "Target": "/h"} | more]}


def _volume(**options: object) -> dict[str, object]:
    return {"Mounts": [{"Type": "volume", "Target": "/h", "VolumeOptions": options}]}


FOREIGN: tuple[Foreign, ...] = (
    Foreign({"Privileged": True}, "privileged", "allow_privileged"),
    *(
        Foreign({"SecurityOpt": ["no-new-privileges", option]}, "unconfined", "allow_unconfined")
        for option in (
            *("seccomp=unconfined", "label=disable", "label=type:spc_t", "apparmor=unconfined"),
        )
    ),
    Foreign({"SecurityOpt": []}, "new privileges", "allow_new_privileges"),
    Foreign(
        {"SecurityOpt": ["no-new-privileges", "no-new-privileges=false"]},
        "new privileges",
        "allow_new_privileges",
    ),
    *(
        Foreign({"MaskedPaths": paths}, "unmasked path", "allow_unmasked_paths")
        for paths in ([], ["/nothing"], ["/proc/kcore"])
    ),
    *(
        Foreign({"ReadonlyPaths": paths}, "unmasked path", "allow_unmasked_paths")
        for paths in ([], ["/nothing"], ["/proc/sys"])
    ),
    *(
        Foreign({mode: "host"}, "host namespace", "allowed_host_namespaces")
        for mode in ("PidMode", "IpcMode", "UTSMode", "NetworkMode")
    ),
    Foreign({"CapAdd": ["SYS_ADMIN"]}, "capability not listed", "allowed_capabilities"),
    Foreign({"CapAdd": ["all"]}, "capability not listed", "allowed_capabilities"),
    Foreign({"CapAdd": ["CAP_SYS_PTRACE"]}, "capability not listed", "allowed_capabilities"),
    *(
        Foreign({"Binds": [f"{path}:/h{more}"]}, "bind outside bind_roots", "bind_roots")
        for path in ("/var/tmp", "/root", "/etc/shadow", "/proc", "/sys", "/dev", "/home", "/mnt")
        for more in ("", ":ro")
    ),
    *(
        Foreign({"Binds": [f"{path}:/h"]}, "protected path")
        for path in (
            *("/", "/run/docker.sock", "/var/run/docker.sock", "/run", "/var/lib/docker"),
            "/run/libvirt",
        )
    ),
    Foreign(_mount(Source="/opt"), "bind outside bind_roots", "bind_roots"),
    *(
        Foreign({"Binds": [f"/tmp:/h:{word}"]}, "mount propagation", "allow_mount_propagation")
        for word in ("slave", "rslave")
    ),
    *(
        Foreign(
            _mount(BindOptions={"Propagation": word}),
            "mount propagation",
            "allow_mount_propagation",
        )
        for word in ("slave", "rslave")
    ),
    *(
        Foreign({"Binds": [f"/tmp:/h:{word}"]}, "setting not listed", "allowed_engine_settings")
        for word in ("z", "Z")
    ),
    *(
        Foreign(
            _volume(DriverConfig={"Name": "local", "Options": options}),
            "volume with options",
            "allow_volume_options",
        )
        for options in (
            _DISGUISE,
            _DISGUISE | {"device": "/run/docker.sock"},
            _DISGUISE | {"o": "rbind"},
            {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"},
            {"type": "nfs", "device": ":/", "o": "addr=192.0.2.1"},
        )
    ),
    Foreign(
        {
            "Devices": [
                {"PathOnHost": "/dev/null", "PathInContainer": "/dev/n", "CgroupPermissions": "r"}
            ]
        },
        "device not listed",
        "allowed_devices",
    ),
    Foreign({"DeviceCgroupRules": ["c 1:1 rwm"]}, "device rules", "allow_device_rules"),
    Foreign({"DeviceCgroupRules": ["a *:* rwm"]}, "device rules", "allow_device_rules"),
    Foreign(
        {"DeviceRequests": [{"Driver": "nvidia", "Count": -1, "Capabilities": [["gpu"]]}]},
        "device requests",
        "allow_device_requests",
    ),
    Foreign(
        {"Sysctls": {"net.ipv4.ip_forward": "1"}}, "kernel parameter not listed", "allowed_sysctls"
    ),
    Foreign({"CgroupParent": "/evil"}, "cgroup parent not listed", "allowed_cgroup_parents"),
    Foreign({"OomScoreAdj": -1000}, "memory shortage", "allow_oom_settings"),
    Foreign({"OomKillDisable": True}, "memory shortage", "allow_oom_settings"),
    Foreign({"GroupAdd": ["999"]}, "further groups", "allow_group_add"),
    Foreign({"Dns": ["192.0.2.1"]}, "name servers", "allow_dns"),
    Foreign({"DnsSearch": ["a.test"]}, "name servers", "allow_dns"),
    Foreign({"DnsOptions": ["ndots:3"]}, "name servers", "allow_dns"),
    Foreign({"ExtraHosts": ["a:192.0.2.1"]}, "extra hosts", "allow_extra_hosts"),
    Foreign({"PublishAllPorts": True}, "address not listed", "publish_addresses"),
    *(
        Foreign(
            {"PortBindings": {"80/tcp": [{"HostIp": address, "HostPort": ""}]}},
            "address not listed",
            "publish_addresses",
        )
        for address in ("", "0.0.0.0", "::", "10.0.0.1", "::ffff:0.0.0.0")
    ),
    Foreign({"PidsLimit": 0}, "beyond the limit", "max_pids_limit"),
    Foreign({"PidsLimit": -1}, "beyond the limit", "max_pids_limit"),
    Foreign(
        {"Ulimits": [{"Name": "rtprio", "Soft": 99, "Hard": 99}]},
        "real-time scheduling",
        "allow_realtime",
    ),
    Foreign(
        {"LogConfig": {"Type": "syslog", "Config": {"syslog-address": "tcp://192.0.2.1:514"}}},
        "log driver not listed",
        "allowed_log_drivers",
    ),
    Foreign({}, "unmasked path", "allow_unmasked_paths", {"WorkingDir": "/proc/self/fd/7"}),
)
"""What only Docker's own API can make, and what the contract can, made past it."""
