"""What a container may use of the host."""

from proad.drivers.docker.refusals.row import (
    BAD,
    BAD_OR_FAULT,
    CONFLICT,
    FAULT,
    DockerRefusal,
    RefusalMeaning,
    row,
    wrong,
)

LIMITS: tuple[DockerRefusal, ...] = (
    wrong(
        "too little memory",
        BAD,
        r"Minimum memory limit allowed is \S+",
        "resources.memory_bytes",
    ),
    wrong(
        "too little reserved memory",
        BAD,
        r"Minimum memory reservation allowed is \S+",
        "resources.memory_reservation_bytes",
    ),
    wrong(
        "more memory reserved than allowed",
        BAD,
        r"Minimum memory limit can not be less than memory reservation limit",
        "resources.memory_reservation_bytes",
    ),
    wrong(
        "less swap than memory",
        BAD,
        r"Minimum memoryswap limit should be larger than memory limit",
        "resources.memory_swap_bytes",
        advice="it is memory and swap together",
    ),
    wrong(
        "swap without memory",
        BAD,
        r"You should always set the Memory limit when using Memoryswap limit",
        "resources.memory_swap_bytes",
        advice="set memory_bytes, too",
    ),
    wrong(
        "a swap limit that the kernel does not take",
        FAULT,
        r"\bmemory\.(?:memsw\.limit_in_bytes|swap\.max): invalid argument",
        "resources.memory_swap_bytes",
        advice="it is memory and swap together, and needs memory_bytes",
    ),
    row(
        RefusalMeaning.CONFLICT,
        "less memory than is in use",
        FAULT,
        r"unable to set memory limit to \d+ \(current usage: \d+",
        advice="give it more than that, or stop the container first",
    ),
    wrong(
        "more CPUs than there are",
        BAD,
        r"[Rr]ange of CPUs is from \S+ to \S+, as there are only \d+ CPUs available",
        "resources.cpus",
    ),
    wrong(
        "too small a part of a CPU",
        FAULT,
        r"\bcpu\.(?:cfs_quota_us|max): invalid argument",
        "resources.cpus",
        advice="the least is 0.01",
    ),
    wrong(
        "CPUs beside a quota or period",
        CONFLICT,
        r"Nano CPUs cannot be updated as CPU (?:Period|Quota) has already been set",
        "resources.cpus",
        advice="the container was made with the one; create it anew with the other",
    ),
    wrong(
        "CPUs that are not there",
        BAD,
        r"Requested CPUs are not available - requested \S+, available: \S+",
        "resources.cpuset_cpus",
    ),
    wrong(
        "no list of CPUs",
        BAD,
        r"Invalid value \S+ for cpuset cpus",
        "resources.cpuset_cpus",
    ),
    wrong(
        "CPU shares out of range",
        BAD_OR_FAULT,
        r"the (?:min|max)imum allowed cpu-shares is \d+|invalid CPU shares \(\S+\)"
        r"|shares: invalid argument",
        "resources.cpu_shares",
    ),
    wrong(
        "more processes than the kernel counts",
        FAULT,
        r"\bpids\.max: invalid argument",
        "resources.pids_limit",
    ),
    wrong(
        "no such ulimit",
        FAULT,
        r"wrong rlimit value: (?P<value>RLIMIT_\w+)",
        "ulimits[].name",
    ),
    wrong(
        "a ulimit that the kernel does not take",
        FAULT,
        r"error setting rlimit type \d+: (?:invalid argument|operation not permitted)",
        "ulimits",
        advice="soft may not exceed hard, nor hard what the kernel allows",
    ),
)
