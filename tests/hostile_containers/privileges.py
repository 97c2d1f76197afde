"""Requests for capabilities, privileges, devices, groups and kernel parameters."""

from hostile_containers.hostile import each

# All that Linux has beyond Docker's default set.
_BEYOND = (
    *("AUDIT_CONTROL", "AUDIT_READ", "BLOCK_SUSPEND", "BPF", "CHECKPOINT_RESTORE"),
    *("DAC_READ_SEARCH", "IPC_LOCK", "IPC_OWNER", "LEASE", "LINUX_IMMUTABLE", "MAC_ADMIN"),
    *("MAC_OVERRIDE", "NET_ADMIN", "NET_BROADCAST", "PERFMON", "SYSLOG", "SYS_ADMIN", "SYS_BOOT"),
    *("SYS_MODULE", "SYS_NICE", "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO", "SYS_RESOURCE"),
    *("SYS_TIME", "SYS_TTY_CONFIG", "WAKE_ALARM", "ALL"),
)
_SPELLED = (
    *(f"CAP_{name}" for name in _BEYOND),
    *("sys_admin", "cap_sys_admin", "Cap_Sys_Admin", "all", "All", "cap_all", "cap_net_admin"),
    *("\u017fYS_ADMIN", "sy\u017f_ptrace", " SYS_ADMIN", "SYS_ADMIN ", "CAP_CAP_SYS_ADMIN"),
    *("*", "SYS-ADMIN", "CHOWN,SYS_ADMIN", "21"),
)
CAPABILITIES = each(
    [
        *({"cap_add": [name]} for name in (*_BEYOND, *_SPELLED)),
        {"cap_add": ["CHOWN", "KILL", "SYS_ADMIN"]},
        {"cap_add": ["ALL"], "cap_drop": ["ALL"]},
        {"cap_add": ["SYS_ADMIN"], "cap_drop": ["SYS_ADMIN"]},
    ],
    "capability not listed",
    "allowed_capabilities",
)

PRIVILEGES = each(
    [
        {"allow_new_privileges": True},
        {"allow_new_privileges": True, "user": "1000:1000"},
        {"allow_new_privileges": True, "cap_drop": ["ALL"], "read_only_root": True},
    ],
    "new privileges",
    "allow_new_privileges",
)

_DEVICES = (
    *("/dev/mem", "/dev/kmem", "/dev/port", "/dev/kmsg", "/dev/sda", "/dev/sda1", "/dev/vda"),
    *("/dev/nvme0n1", "/dev/dm-0", "/dev/mapper/control", "/dev/loop-control", "/dev/loop0"),
    *("/dev/fuse", "/dev/kvm", "/dev/net/tun", "/dev/vfio/vfio", "/dev/vhost-net", "/dev/dri"),
    *("/dev/input", "/dev/uinput", "/dev/snd", "/dev/disk/by-uuid", "/dev/bus/usb", "/dev"),
    *("/dev/", "/dev/./mem", "//dev/mem", "/dev//mem", "/dev/null", "/dev/tty1", "/dev/fd/0"),
    *("/proc/kcore", "/tmp/mem", "/"),
)
DEVICES = each(
    [
        *({"devices": [{"host_path": path}]} for path in _DEVICES),
        {"devices": [{"host_path": "/dev/sda", "container_path": "/dev/null"}]},
        {"devices": [{"host_path": "/dev/mem", "permissions": "r"}]},
        {"devices": [{"host_path": "/dev/sda", "permissions": "m"}]},
    ],
    "device not listed",
    "allowed_devices",
)

GROUPS = each(
    [
        {"group_add": [group]}
        for group in ("docker", "0", "999", "disk", "kvm", "libvirt", "shadow", "root", "6", "-1")
    ],
    "further groups",
    "allow_group_add",
)

SYSCTLS = each(
    [
        {"sysctls": {name: "1"}}
        for name in (
            *("kernel.core_pattern", "kernel.modprobe", "kernel/core_pattern", "kernel.shmmax"),
            *("kernel.msgmax", "kernel.sem", "kernel.shm_rmid_forced", "kernel.yama.ptrace_scope"),
            *(
                "kernel.randomize_va_space",
                "kernel.unprivileged_bpf_disabled",
                "vm.overcommit_memory",
            ),
            *("fs.mqueue.msg_max", "fs.protected_symlinks", "user.max_user_namespaces"),
            *("net.ipv4.ip_forward", "net.core.bpf_jit_enable", "net.ipv4.conf.all.rp_filter"),
            *("net.ipv4.ip_unprivileged_port_start", "NET.IPV4.IP_FORWARD", "net/ipv4/ip_forward"),
        )
    ],
    "kernel parameter not listed",
    "allowed_sysctls",
)
