"""Provocations of every row of the driver's table of refusals."""

from integration.docker.network_provocations import ON_NETWORKS
from integration.docker.provoking import (
    MIB,
    Provocation,
    bound,
    create,
    limits,
    update,
)
from proad.model import (
    Device,
    HealthCheck,
    ImageFilter,
    Mount,
    RestartPolicy,
    RestartPolicyMode,
    TmpfsMount,
    Ulimit,
    VolumeMount,
)
from updating import container_update

PROVOCATIONS: tuple[Provocation, ...] = (
    Provocation(
        row="no space on the disk",
        call="CreateContainer, a volume of 4 KiB over a folder of the image that has more",
        act=lambda stage: stage.create_with_a_full_volume(),
    ),
    Provocation(
        row="no pattern for names of images",
        call="ListImages, reference [",
        field="reference",
        act=lambda stage: stage.driver.list_images(ImageFilter(reference="[")),
    ),
    Provocation(
        row="a removal is under way",
        call="DeleteResource, while the engine removes it",
        act=lambda stage: stage.remove_at_once(),
    ),
    Provocation(
        row="the container is restarting",
        call="PauseResource, between two restarts",
        act=lambda stage: stage.pause_between_restarts(),
    ),
    create(
        "too little memory",
        "resources.memory_bytes",
        "memory_bytes 4096",
        **limits(memory_bytes=4096),
    ),
    update(
        "too little memory",
        "resources.memory_bytes",
        "memory_bytes 4096",
        container_update(memory_bytes=4096),
    ),
    create(
        "too little reserved memory",
        "resources.memory_reservation_bytes",
        "memory_reservation_bytes 4096",
        **limits(memory_reservation_bytes=4096),
    ),
    create(
        "more memory reserved than allowed",
        "resources.memory_reservation_bytes",
        "memory_bytes 64 MiB and memory_reservation_bytes 128 MiB",
        **limits(memory_bytes=64 * MIB, memory_reservation_bytes=128 * MIB),
    ),
    create(
        "less swap than memory",
        "resources.memory_swap_bytes",
        "memory_bytes 64 MiB and memory_swap_bytes 32 MiB",
        **limits(memory_bytes=64 * MIB, memory_swap_bytes=32 * MIB),
    ),
    create(
        "swap without memory",
        "resources.memory_swap_bytes",
        "memory_swap_bytes 32 MiB alone",
        **limits(memory_swap_bytes=32 * MIB),
    ),
    update(
        "less swap than memory",
        "resources.memory_swap_bytes",
        "memory_bytes 128 MiB and memory_swap_bytes 96 MiB",
        container_update(memory_bytes=128 * MIB, memory_swap_bytes=96 * MIB),
        Memory=64 * MIB,
        MemorySwap=64 * MIB,
    ),
    update(
        "a swap limit that the kernel does not take",
        "resources.memory_swap_bytes",
        "memory_swap_bytes below the memory limit",
        container_update(memory_swap_bytes=32 * MIB),
        Memory=64 * MIB,
        MemorySwap=64 * MIB,
    ),
    Provocation(
        row="less memory than is in use",
        call="UpdateResource, memory_bytes 20 MiB while 60 MiB are in use",
        act=lambda stage: stage.update_below_use(),
    ),
    create("more CPUs than there are", "resources.cpus", "cpus 1000", **limits(cpus=1000)),
    update("more CPUs than there are", "resources.cpus", "cpus 1000", container_update(cpus=1000)),
    create("too small a part of a CPU", "resources.cpus", "cpus 0.001", **limits(cpus=0.001)),
    update(
        "too small a part of a CPU", "resources.cpus", "cpus 0.001", container_update(cpus=0.001)
    ),
    update(
        "CPUs beside a quota or period",
        "resources.cpus",
        "cpus 1 of a container that Docker's own tools gave a quota",
        container_update(cpus=1),
        CpuQuota=50_000,
        CpuPeriod=100_000,
    ),
    create(
        "CPUs that are not there",
        "resources.cpuset_cpus",
        "cpuset_cpus 4095",
        **limits(cpuset_cpus="4095"),
    ),
    update(
        "CPUs that are not there",
        "resources.cpuset_cpus",
        "cpuset_cpus 4095",
        container_update(cpuset_cpus="4095"),
    ),
    create(
        "no list of CPUs", "resources.cpuset_cpus", "cpuset_cpus 1-0", **limits(cpuset_cpus="1-0")
    ),
    create(
        "CPU shares out of range", "resources.cpu_shares", "cpu_shares 1", **limits(cpu_shares=1)
    ),
    create(
        "CPU shares out of range", "resources.cpu_shares", "cpu_shares -1", **limits(cpu_shares=-1)
    ),
    create(
        "more processes than the kernel counts",
        "resources.pids_limit",
        "pids_limit 2^62",
        **limits(pids_limit=2**62),
    ),
    create(
        "no such ulimit",
        "ulimits[1].name",
        "ulimits nofile, sheep",
        ulimits=(Ulimit(name="nofile", soft=9, hard=9), Ulimit(name="sheep", soft=1, hard=1)),
    ),
    create(
        "a ulimit that the kernel does not take",
        "ulimits",
        "nofile with soft above hard",
        ulimits=(Ulimit(name="nofile", soft=2000, hard=1000),),
    ),
    create(
        "a ulimit under which nothing can start",
        "ulimits[0]",
        "ulimits data 4096",
        ulimits=(Ulimit(name="data", soft=4096, hard=4096),),
    ),
    create(
        "a ulimit under which nothing can start",
        "ulimits[0]",
        "ulimits nofile 0",
        ulimits=(Ulimit(name="nofile", soft=0, hard=0),),
    ),
    create(
        "no such capability", "cap_add[1]", "cap_add NET_ADMIN, FLY", cap_add=("NET_ADMIN", "FLY")
    ),
    create("no such capability", "cap_drop[0]", "cap_drop CAP_FLY", cap_drop=("CAP_FLY",)),
    create(
        "a sysctl of the whole host",
        "sysctls",
        "sysctls kernel.panic",
        sysctls={"kernel.panic": "1"},
    ),
    create("no such sysctl", "sysctls", "sysctls net.no.such", sysctls={"net.no.such": "1"}),
    create(
        "a value that the sysctl does not take",
        "sysctls",
        "sysctls net.ipv4.ip_forward abc",
        sysctls={"net.ipv4.ip_forward": "abc"},
    ),
    create("no such user", "user", "user nobodyhere", user="nobodyhere"),
    create("no such group", "user", "user 0:nogroup", user="0:nogrouphere"),
    create("no such group", "group_add[1]", "group_add 7, nogroup", group_add=("7", "nogrouphere")),
    create("a user or group number out of range", "user", "user 99999999999", user="99999999999"),
    create(
        "a user or group number out of range",
        "group_add",
        "group_add 99999999999",
        group_add=("99999999999",),
    ),
    create("no such stop signal", "stop_signal", "stop_signal SIGFOO", stop_signal="SIGFOO"),
    create(
        "a negative number of retries of the health check",
        "health_check.retries",
        "health_check.retries -1",
        health_check=HealthCheck(command=("true",), retries=-1),
    ),
    create(
        "a negative number of restarts",
        "restart_policy.max_retries",
        "restart_policy.max_retries -1",
        restart_policy=RestartPolicy(mode=RestartPolicyMode.ON_FAILURE, max_retries=-1),
    ),
    update(
        "a negative number of restarts",
        "restart_policy.max_retries",
        "restart_policy.max_retries -1",
        container_update(
            restart_policy=RestartPolicy(mode=RestartPolicyMode.ON_FAILURE, max_retries=-1)
        ),
    ),
    update(
        "a restart policy for what is removed when it ends",
        "restart_policy",
        "restart_policy ALWAYS of a TRANSIENT container",
        container_update(restart_policy=RestartPolicy(mode=RestartPolicyMode.ALWAYS)),
        AutoRemove=True,
    ),
    create("no such log driver", "log_driver", "log_driver sheep", log_driver="sheep"),
    create(
        "no such log option, or one that is missing",
        "log_options",
        "log_options sheep",
        log_options={"sheep": "1"},
    ),
    create(
        "no such log option, or one that is missing",
        "log_options",
        "log_driver gelf alone",
        log_driver="gelf",
    ),
    create(
        "a log driver that cannot begin",
        "log_options",
        "log_options max-size abc",
        log_options={"max-size": "abc"},
    ),
    create(
        "a log driver that cannot begin",
        "log_driver",
        "log_driver journald where there is none",
        log_driver="journald",
    ),
    Provocation(
        row="no command",
        call="CreateContainer, an image without one",
        field="spec.command",
        act=lambda stage: stage.create_without_a_command(),
    ),
    create("no such program", "command[0]", "command nosuch", command=("nosuch", "x")),
    create("no such program", "entrypoint[0]", "entrypoint /no/such", entrypoint=("/no/such",)),
    create("no such program", "command[0]", "command /etc", command=("/etc",)),
    create("no such program", "command[0]", "command /etc/passwd", command=("/etc/passwd",)),
    create(
        "a working directory that is no directory",
        "working_dir",
        "working_dir /etc/passwd",
        working_dir="/etc/passwd",
    ),
    create(
        "a working directory that is no directory",
        "working_dir",
        "working_dir /etc/passwd/x",
        working_dir="/etc/passwd/x",
    ),
    create(
        "no such device",
        "devices[1].host_path",
        "devices /dev/zero, /dev/none",
        devices=(Device(host_path="/dev/zero"), Device(host_path="/dev/none")),
    ),
    create(
        "no such device",
        "devices[0].host_path",
        "devices /etc/passwd",
        devices=(Device(host_path="/etc/passwd"),),
    ),
    create(
        "a place where no device can be",
        "devices",
        "devices /dev/zero at /etc/passwd/x",
        devices=(Device(host_path="/dev/zero", container_path="/etc/passwd/x"),),
    ),
    create("nothing to bind", "mounts[0].bind.source", "bind.source /none", **bound("/x", "/none")),
    create("a mount on the root", "mounts[0].target", "target /", **bound("/")),
    create(
        "two mounts at one place",
        "mounts[1].target",
        "targets /x and /x/",
        mounts=(Mount(target="/x", tmpfs=TmpfsMount()), Mount(target="/x/", tmpfs=TmpfsMount())),
    ),
    create(
        "a place where nothing can be mounted",
        "mounts[0].target",
        "a folder at /etc/passwd",
        **bound("/etc/passwd"),
    ),
    create(
        "no name for a volume",
        "mounts[0].volume.name",
        "volume.name bad name!",
        mounts=(Mount(target="/x", volume=VolumeMount(name="bad name!")),),
    ),
    create(
        "no name for a volume",
        "mounts[0].volume.name",
        "volume.name b",
        mounts=(Mount(target="/x", volume=VolumeMount(name="b")),),
    ),
    *ON_NETWORKS,
)
