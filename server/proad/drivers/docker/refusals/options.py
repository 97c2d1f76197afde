"""What a container is and may do, what it runs, and what is mounted in it."""

from proad.drivers.docker.refusals.row import (
    BAD,
    BAD_OR_FAULT,
    CONFLICT,
    FAULT,
    DockerRefusal,
    wrong,
)

OPTIONS: tuple[DockerRefusal, ...] = (
    # What it is and may do.
    wrong(
        "no such capability",
        BAD,
        r'unknown capability: "(?P<value>[^"]*)"',
        "cap_add[]",
        "cap_drop[]",
    ),
    wrong(
        "a sysctl of the whole host",
        FAULT,
        r'sysctl "(?P<value>[^"]*)" (?:is not in a separate kernel namespace'
        r"|not allowed in host network namespace)",
        "sysctls",
    ),
    wrong(
        "no such sysctl",
        BAD,
        r"open (?:/proc/sys/\S+|sysctl \S+ file): .*no such file or directory",
        "sysctls",
    ),
    wrong(
        "a value that the sysctl does not take",
        FAULT,
        r"write (?:/proc/sys/|fsmount:fscontext:proc/\./sys/)\S+: invalid argument",
        "sysctls",
    ),
    wrong(
        "no such user",
        FAULT,
        r"[Uu]nable to find user (?P<value>[^:]*): no matching entries in passwd file",
        "user",
        advice="the image has none of that name; a number works",
    ),
    wrong(
        "no such group",
        FAULT,
        r"[Uu]nable to find group (?P<value>[^:]*): no matching entries in group file",
        "group_add[]",
        "user",
        advice="the image has none of that name; a number works",
    ),
    wrong(
        "a user or group number out of range",
        FAULT,
        r"uids and gids must be in range \S+",
        "user",
        "group_add",
    ),
    wrong(
        "no such stop signal",
        BAD,
        r"[Ii]nvalid signal: \S+",
        "stop_signal",
    ),
    wrong(
        "a negative number of retries of the health check",
        BAD,
        r"Retries in Healthcheck cannot be negative",
        "health_check.retries",
    ),
    wrong(
        "a negative number of restarts",
        BAD,
        r"maximum retry count cannot be negative",
        "restart_policy.max_retries",
    ),
    wrong(
        "a restart policy for what is removed when it ends",
        CONFLICT,
        r"Restart policy cannot be updated because AutoRemove is enabled for the container",
        "restart_policy",
        advice="a TRANSIENT container has none",
    ),
    wrong(
        "no such log driver",
        BAD,
        r'error looking up logging plugin \S+: plugin "[^"]*" not found',
        "log_driver",
    ),
    wrong(
        "no such log option, or one that is missing",
        BAD,
        r"unknown log opt '[^']*' for \S+ log driver|gelf-address is a required parameter",
        "log_options",
    ),
    wrong(
        "a log driver that cannot begin",
        FAULT,
        r"failed to initialize logging driver: [^\n]*",
        "log_options",
        "log_driver",
    ),
    # The program.
    wrong(
        "no command",
        BAD,
        r"[Nn]o command specified",
        "command",
        advice="the image has none",
    ),
    wrong(
        "no such program",
        BAD,
        r'exec: "(?P<value>[^"]*)": (?:executable file not found in \$PATH|(?:(?!exec: ")[^\n])*?'
        r"(?:no such file or directory|permission denied|is a directory))",
        "entrypoint[]",
        "command[]",
        "command",
    ),
    wrong(
        "a working directory that is no directory",
        FAULT,
        r"Cannot mkdir: \S+ is not a directory|(?<=/merged)/\S+: not a directory",
        "working_dir",
    ),
    # Devices, and what is mounted.
    wrong(
        "no such device",
        FAULT,
        r'error gathering device information while adding custom device "(?P<value>[^"]*)": '
        r"(?:no such file or directory|not a device node)",
        "devices[].host_path",
    ),
    wrong(
        "a place where no device can be",
        BAD,
        r"error creating device nodes: ",
        "devices",
    ),
    wrong(
        "nothing to bind",
        BAD,
        r"bind source path does not exist: (?P<value>[^\n]*)",
        "mounts[].bind.source",
        advice="make it on the host first",
    ),
    wrong(
        "a mount on the root",
        BAD,
        r"destination can't be '(?P<value>/)'",
        "mounts[].target",
    ),
    wrong(
        "two mounts at one place",
        BAD,
        r"Duplicate mount point: (?P<value>[^\n]*)",
        "mounts[].target",
    ),
    wrong(
        "a place where nothing can be mounted",
        BAD_OR_FAULT,
        r'error mounting "[^"]*" to rootfs at "(?P<value>[^"]*)"',
        "mounts[].target",
        advice="a folder goes onto a folder, a file onto a file",
    ),
    wrong(
        "no name for a volume",
        BAD,
        r"^create (?P<value>[^\n]*?): (?:\"[^\"]*\" includes invalid characters for a local volume"
        r" name|volume name is too short)",
        "mounts[].volume.name",
    ),
)
