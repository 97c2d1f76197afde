"""Requests for mounts."""

from hostile_containers.hostile import Hostile, each

PROTECTED = (
    *("/", "/run", "/var/lib", "/run/docker.sock", "/run/docker", "/var/lib/docker"),
    *("/var/lib/docker/volumes", "/var/lib/docker/overlay2", "/etc/docker", "/run/containerd"),
    *("/run/containerd/containerd.sock", "/var/lib/containerd", "/run/libvirt"),
    *("/run/libvirt/libvirt-sock", "/run/libvirt/libvirt-sock-ro", "/var/lib/libvirt"),
    *("/var/lib/libvirt/images", "/etc/libvirt", "/run/podman/podman.sock", "/."),
    *(
        "/var/run/docker.sock",
        "/var/run",
        "/run/./docker.sock",
        "/run//docker.sock",
        "/run/docker.sock/",
        "/run/docker.sock/.",
    ),
)
"""Paths of the engines, above and below them, by names that they have."""

_OUTSIDE = (
    *("/etc/shadow", "/etc/passwd", "/etc/cron.d", "/etc/ssh", "/root", "/root/.ssh", "/home"),
    *("/proc", "/proc/1/root", "/proc/1/cwd", "/proc/1/fd", "/proc/1/ns", "/proc/self/root"),
    *("/proc/self/exe", "/proc/self/fd", "/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger"),
    *("/proc/kcore", "/proc/kallsyms", "/sys", "/sys/kernel", "/sys/kernel/security"),
    *("/sys/fs/cgroup", "/sys/fs/bpf", "/sys/firmware", "/dev", "/dev/shm", "/dev/mem"),
    *("/boot", "/lib/modules", "/usr/bin", "/usr/bin/runc", "/var/tmp", "/mnt", "/media", "/srv"),
    *("/opt", "/var/log", "/var/spool/cron", "/run/dbus/system_bus_socket", "/run/systemd/private"),
    *("//etc/shadow", "/./etc/shadow", "/etc//shadow", "/etc/shadow/", "/etc/./shadow"),
    *("//run/docker.sock", "/no-such-path", "/etc/..shadow", "/..."),
    *("/-v", "/a:b", "/a,b=c"),
)
BINDS = (
    *each(
        [{"mounts": [{"target": "/h", "bind": {"source": path}}]} for path in _OUTSIDE],
        "bind outside bind_roots",
        "bind_roots",
    ),
    *each(
        [
            {"mounts": [{"target": "/h", "read_only": True, "bind": {"source": path}}]}
            for path in _OUTSIDE[:12]
        ],
        "bind outside bind_roots",
        "bind_roots",
    ),
    *(
        Hostile({"mounts": [{"target": "/h", "bind": {"source": path}}]}, "protected path")
        for path in PROTECTED
    ),
    *(
        Hostile(
            {"mounts": [{"target": "/h", "read_only": True, "bind": {"source": path}}]},
            "protected path",
        )
        for path in PROTECTED[:6]
    ),
    Hostile(
        {
            "mounts": [
                {"target": "/a", "tmpfs": {}},
                {"target": "/b", "volume": {"name": "fine"}},
                {"target": "/c", "bind": {"source": "/etc"}},
            ]
        },
        "protected path",  # the configuration of the engines is in it
    ),
)

VOLUME_NAMES = each(
    [
        {"mounts": [{"target": "/h", "volume": {"name": name}}]}
        for name in (
            *("/", "/etc", "/run/docker.sock", "..", ".", "../etc", "a/b", "a/../../etc", "-v"),
            *("_x", ".hidden", "a:/etc", "a:ro", "a b", "a,b", "a\nb", "\u00e4", "a%2f..", "a\\b"),
        )
    ],
    "name of a volume",
)

_PLACES = (
    *("/proc", "/proc/", "//proc", "/./proc", "/proc/sys", "/proc/sysrq-trigger", "/proc/1"),
    *("/proc/self/attr/exec", "/proc/sys/kernel/core_pattern", "/proc/acpi", "/sys"),
    *("/sys/firmware", "/sys/fs/cgroup", "/sys/kernel/security", "/sys//kernel", "/./sys/."),
)
_FOLDERS = (
    *(f"/proc/self/fd/{number}" for number in range(3, 11)),
    *("//proc/self/fd/7", "/proc/./self/fd/7", "/proc/1/root", "/proc/self/cwd", "/proc", "/sys"),
)
PLACES = each(
    [
        *({"mounts": [{"target": path, "tmpfs": {}}]} for path in _PLACES),
        *({"mounts": [{"target": path, "volume": {}}]} for path in _PLACES[:8]),
        # A process in an open folder of the host's: how runc was left once.
        *({"working_dir": path} for path in _FOLDERS),
    ],
    "unmasked path",
    "allow_unmasked_paths",
)
