"""What the Docker Engine's refusals mean, where its status has one code for several causes.

This table is the one place that looks at the engine's text, and each row says on which
versions that text was seen. docs/refusals.md shows it, and the integration tests provoke
every row. What no row knows remains a conflict, with the text passed on.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from http import HTTPStatus

_EVERY_VERSION = ("20.10", "26.1", "28.5")
_BAD = frozenset({HTTPStatus.BAD_REQUEST})
_FAULT = frozenset({HTTPStatus.INTERNAL_SERVER_ERROR})
_BAD_OR_FAULT = _BAD | _FAULT
_CONFLICT = frozenset({HTTPStatus.CONFLICT})
_MISSING = frozenset({HTTPStatus.NOT_FOUND})


class Meaning(Enum):
    """What a refusal is: the words of a contract that has one for each."""

    WRONG = "INVALID_ARGUMENT"
    TAKEN = "IN_USE"
    PASSING = "ENGINE_CONFLICT (ABORTED)"
    CONFLICT = "ENGINE_CONFLICT"
    EXHAUSTED = "HOST_EXHAUSTED"
    MISSING = "IMAGE_NOT_FOUND"
    UNREACHABLE = "REGISTRY_UNREACHABLE"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row of the table.

    Attributes:
        name: what is wrong, in a few words.
        meaning: what becomes of it.
        statuses: the HTTP statuses that the engine refuses with.
        pattern: the part of the engine's text that tells; its group `value` is the value
            that the engine names.
        fields: of WRONG, the fields of a ContainerSpec that may be to blame, the likeliest
            first; "[]" stands for the element that has the value. Of an update, too, where
            it has the field.
        advice: what to do.
        seen: the versions of Docker whose text this is; none where it is the kernel's, and
            nothing provokes it safely.
    """

    name: str
    meaning: Meaning
    statuses: frozenset[HTTPStatus]
    pattern: re.Pattern[str]
    fields: tuple[str, ...] = ()
    advice: str = ""
    seen: tuple[str, ...] = _EVERY_VERSION


def _row(
    meaning: Meaning,
    name: str,
    statuses: frozenset[HTTPStatus],
    pattern: str,
    *fields: str,
    advice: str = "",
    seen: tuple[str, ...] = _EVERY_VERSION,
) -> Refusal:
    return Refusal(name, meaning, statuses, re.compile(pattern), fields, advice, seen)


_wrong = partial(_row, Meaning.WRONG)

REFUSALS: tuple[Refusal, ...] = (
    # The host's troubles first: they come out of any call, inside other words.
    _row(
        Meaning.EXHAUSTED,
        "no space on the disk",
        _FAULT,
        r"no space left on device",
    ),
    _wrong(
        "a ulimit under which nothing can start",
        _FAULT,
        r"error (?:adding|loading) seccomp filter[^\n]*: (?:cannot allocate memory|too many open files)"
        r"|container init: too many open files",
        "ulimits[]",
    ),
    _row(
        Meaning.EXHAUSTED,
        "no memory on the host",
        _FAULT,
        r"cannot allocate memory",
        seen=(),
    ),
    _wrong(
        "no pattern for names of images",
        _FAULT,
        r"syntax error in pattern",
        "reference",
    ),
    # What passes by itself.
    _row(
        Meaning.PASSING,
        "a removal is under way",
        _CONFLICT,
        r"removal of container \S+ is already in progress",
    ),
    _row(
        Meaning.PASSING,
        "the container is restarting",
        _CONFLICT,
        r"is restarting, wait until the container is running",
    ),
    # Limits.
    _wrong(
        "too little memory",
        _BAD,
        r"Minimum memory limit allowed is \S+",
        "resources.memory_bytes",
    ),
    _wrong(
        "too little reserved memory",
        _BAD,
        r"Minimum memory reservation allowed is \S+",
        "resources.memory_reservation_bytes",
    ),
    _wrong(
        "more memory reserved than allowed",
        _BAD,
        r"Minimum memory limit can not be less than memory reservation limit",
        "resources.memory_reservation_bytes",
    ),
    _wrong(
        "less swap than memory",
        _BAD,
        r"Minimum memoryswap limit should be larger than memory limit",
        "resources.memory_swap_bytes",
        advice="it is memory and swap together",
    ),
    _wrong(
        "swap without memory",
        _BAD,
        r"You should always set the Memory limit when using Memoryswap limit",
        "resources.memory_swap_bytes",
        advice="set memory_bytes, too",
    ),
    _wrong(
        "a swap limit that the kernel does not take",
        _FAULT,
        r"\bmemory\.(?:memsw\.limit_in_bytes|swap\.max): invalid argument",
        "resources.memory_swap_bytes",
        advice="it is memory and swap together, and needs memory_bytes",
    ),
    _row(
        Meaning.CONFLICT,
        "less memory than is in use",
        _FAULT,
        r"unable to set memory limit to \d+ \(current usage: \d+",
        advice="give it more than that, or stop the container first",
    ),
    _wrong(
        "more CPUs than there are",
        _BAD,
        r"[Rr]ange of CPUs is from \S+ to \S+, as there are only \d+ CPUs available",
        "resources.cpus",
    ),
    _wrong(
        "too small a part of a CPU",
        _FAULT,
        r"\bcpu\.(?:cfs_quota_us|max): invalid argument",
        "resources.cpus",
        advice="the least is 0.01",
    ),
    _wrong(
        "CPUs beside a quota or period",
        _CONFLICT,
        r"Nano CPUs cannot be updated as CPU (?:Period|Quota) has already been set",
        "resources.cpus",
        advice="the container was made with the one; create it anew with the other",
    ),
    _wrong(
        "CPUs that are not there",
        _BAD,
        r"Requested CPUs are not available - requested \S+, available: \S+",
        "resources.cpuset_cpus",
    ),
    _wrong(
        "no list of CPUs",
        _BAD,
        r"Invalid value \S+ for cpuset cpus",
        "resources.cpuset_cpus",
    ),
    _wrong(
        "CPU shares out of range",
        _BAD_OR_FAULT,
        r"the (?:min|max)imum allowed cpu-shares is \d+|invalid CPU shares \(\S+\)"
        r"|shares: invalid argument",
        "resources.cpu_shares",
    ),
    _wrong(
        "more processes than the kernel counts",
        _FAULT,
        r"\bpids\.max: invalid argument",
        "resources.pids_limit",
    ),
    _wrong(
        "no such ulimit",
        _FAULT,
        r"wrong rlimit value: (?P<value>RLIMIT_\w+)",
        "ulimits[].name",
    ),
    _wrong(
        "a ulimit that the kernel does not take",
        _FAULT,
        r"error setting rlimit type \d+: (?:invalid argument|operation not permitted)",
        "ulimits",
        advice="soft may not exceed hard, nor hard what the kernel allows",
    ),
    # What it is and may do.
    _wrong(
        "no such capability",
        _BAD,
        r'unknown capability: "(?P<value>[^"]*)"',
        "cap_add[]",
        "cap_drop[]",
    ),
    _wrong(
        "a sysctl of the whole host",
        _FAULT,
        r'sysctl "(?P<value>[^"]*)" (?:is not in a separate kernel namespace'
        r"|not allowed in host network namespace)",
        "sysctls",
    ),
    _wrong(
        "no such sysctl",
        _BAD,
        r"open (?:/proc/sys/\S+|sysctl \S+ file): .*no such file or directory",
        "sysctls",
    ),
    _wrong(
        "a value that the sysctl does not take",
        _FAULT,
        r"write (?:/proc/sys/|fsmount:fscontext:proc/\./sys/)\S+: invalid argument",
        "sysctls",
    ),
    _wrong(
        "no such user",
        _FAULT,
        r"[Uu]nable to find user (?P<value>[^:]*): no matching entries in passwd file",
        "user",
        advice="the image has none of that name; a number works",
    ),
    _wrong(
        "no such group",
        _FAULT,
        r"[Uu]nable to find group (?P<value>[^:]*): no matching entries in group file",
        "group_add[]",
        "user",
        advice="the image has none of that name; a number works",
    ),
    _wrong(
        "a user or group number out of range",
        _FAULT,
        r"uids and gids must be in range \S+",
        "user",
        "group_add",
    ),
    _wrong(
        "no such stop signal",
        _BAD,
        r"[Ii]nvalid signal: \S+",
        "stop_signal",
    ),
    _wrong(
        "a negative number of retries of the health check",
        _BAD,
        r"Retries in Healthcheck cannot be negative",
        "health_check.retries",
    ),
    _wrong(
        "a negative number of restarts",
        _BAD,
        r"maximum retry count cannot be negative",
        "restart_policy.max_retries",
    ),
    _wrong(
        "a restart policy for what is removed when it ends",
        _CONFLICT,
        r"Restart policy cannot be updated because AutoRemove is enabled for the container",
        "restart_policy",
        advice="a TRANSIENT container has none",
    ),
    _wrong(
        "no such log driver",
        _BAD,
        r'error looking up logging plugin \S+: plugin "[^"]*" not found',
        "log_driver",
    ),
    _wrong(
        "no such log option, or one that is missing",
        _BAD,
        r"unknown log opt '[^']*' for \S+ log driver|gelf-address is a required parameter",
        "log_options",
    ),
    _wrong(
        "a log driver that cannot begin",
        _FAULT,
        r"failed to initialize logging driver: [^\n]*",
        "log_options",
        "log_driver",
    ),
    # The program.
    _wrong(
        "no command",
        _BAD,
        r"[Nn]o command specified",
        "command",
        advice="the image has none",
    ),
    _wrong(
        "no such program",
        _BAD,
        r'exec: "(?P<value>[^"]*)": (?:executable file not found in \$PATH|[^\n]*?'
        r"(?:no such file or directory|permission denied|is a directory))",
        "entrypoint[]",
        "command[]",
        "command",
    ),
    _wrong(
        "a working directory that is no directory",
        _FAULT,
        r"Cannot mkdir: \S+ is not a directory|(?<=/merged)/\S+: not a directory",
        "working_dir",
    ),
    # Devices, and what is mounted.
    _wrong(
        "no such device",
        _FAULT,
        r'error gathering device information while adding custom device "(?P<value>[^"]*)": '
        r"(?:no such file or directory|not a device node)",
        "devices[].host_path",
    ),
    _wrong(
        "a place where no device can be",
        _BAD,
        r"error creating device nodes: ",
        "devices",
    ),
    _wrong(
        "nothing to bind",
        _BAD,
        r"bind source path does not exist: (?P<value>[^\n]*)",
        "mounts[].bind.source",
        advice="make it on the host first",
    ),
    _wrong(
        "a mount on the root",
        _BAD,
        r"destination can't be '(?P<value>/)'",
        "mounts[].target",
    ),
    _wrong(
        "two mounts at one place",
        _BAD,
        r"Duplicate mount point: (?P<value>[^\n]*)",
        "mounts[].target",
    ),
    _wrong(
        "a place where nothing can be mounted",
        _BAD_OR_FAULT,
        r'error mounting "[^"]*" to rootfs at "(?P<value>[^"]*)"',
        "mounts[].target",
        advice="a folder goes onto a folder, a file onto a file",
    ),
    _wrong(
        "no name for a volume",
        _BAD,
        r"create (?P<value>[^\n]*?): (?:\"[^\"]*\" includes invalid characters for a local volume"
        r" name|volume name is too short)",
        "mounts[].volume.name",
    ),
    # Networks.
    _wrong(
        "no such network",
        _MISSING,
        r"network (?P<value>\S+) not found",
        "networks[].network",
        advice="make it with Docker's own tools first",
    ),
    _wrong(
        "no container to share the network of",
        _MISSING | _FAULT,
        r"No such container: (?P<value>\S+)",
        "networks[].network",
    ),
    _row(
        Meaning.CONFLICT,
        "the container whose network is shared does not run",
        _CONFLICT,
        r"cannot join network (?:namespace )?of a non running container",
        advice="start that one first",
    ),
    _wrong(
        "a host name beside a shared network",
        _BAD,
        r"conflicting options: hostname and the network mode",
        "hostname",
    ),
    _wrong(
        "ports beside a shared network",
        _BAD,
        r"conflicting options: port publishing and the container type network mode",
        "ports",
    ),
    _wrong(
        "name servers beside a shared network",
        _BAD,
        r"conflicting options: dns and the network mode",
        "dns_servers",
    ),
    _wrong(
        "extra hosts beside a shared network",
        _BAD,
        r"conflicting options: custom host-to-IP mapping and the network mode",
        "extra_hosts",
    ),
    _wrong(
        "an extra host without a name",
        _BAD,
        r"bad format for add-host: \S+",
        "extra_hosts",
    ),
    _wrong(
        "an IPv4 address that is none",
        _BAD,
        r"invalid IPv4 address: (?P<value>\S+)",
        "networks[].ipv4_address",
    ),
    _wrong(
        "an IPv6 address that is none",
        _BAD,
        r"invalid IPv6 address: (?P<value>\S+)",
        "networks[].ipv6_address",
    ),
    _wrong(
        "an address of a network that has none to choose",
        _BAD,
        r"user specified IP address is supported (?:on user defined networks only"
        r"|only when connecting to networks with user configured subnets)",
        "networks[].ipv4_address",
        "networks[].ipv6_address",
    ),
    _wrong(
        "an address that is not of the network",
        _BAD_OR_FAULT,
        r"(?:no configured subnet or ip-range contain the IP|Invalid) address (?P<value>\S+?)"
        r"(?:: It does not belong to any of this network's subnets|$)",
        "networks[].ipv4_address",
        "networks[].ipv6_address",
    ),
    _wrong(
        "aliases on a network that has none",
        _BAD,
        r"network-scoped alias is supported only for containers in user defined networks",
        "networks[].aliases",
    ),
    _wrong(
        "an address that is not of the host",
        _FAULT,
        r"(?:listen \w+|host port for) \[?(?P<value>[0-9a-f.:]+?)\]?:\d+:"
        r"[^\n]*cannot assign requested address",
        "ports[].host_ip",
    ),
    _row(
        Meaning.TAKEN,
        "a port of the host that is taken",
        _FAULT,
        r"Bind for (?P<value>\S+) failed: port is already allocated",
    ),
    _row(
        Meaning.TAKEN,
        "a port of the host that a process listens on",
        _FAULT,
        r"(?:listen \w+|host port for) (?P<value>\S+?:\d+):(?: bind:| ?\S+:) "
        r"address already in use",
    ),
    _row(
        Meaning.TAKEN,
        "an address that is taken",
        frozenset({HTTPStatus.FORBIDDEN}),
        r"Address already in use",
        "networks[].ipv4_address",
        "networks[].ipv6_address",
    ),
)

# Of a registry's trouble the engine tells with its own status 500. What is said here is all
# that a caller hears of it: the text holds what the registry, or whatever answers, sent.
_registry = partial(_row, statuses=frozenset({*_FAULT, HTTPStatus.TOO_MANY_REQUESTS}))

REGISTRY_REFUSALS: tuple[Refusal, ...] = (
    REFUSALS[0],
    _wrong(
        "is no platform that the engine knows",
        _BAD,
        r"unknown operating system or architecture|cannot parse platform specifier"
        r"|specifier component must match",
        "platform",
    ),
    _wrong(
        "is no image name, such as debian:12",
        _BAD,
        r"invalid reference format",
        "image",
    ),
    _row(
        Meaning.MISSING,
        "for this platform in its registry",
        _FAULT | _MISSING,
        r"no matching manifest for ",
        advice="another platform, or none, may be there",
    ),
    _row(
        Meaning.MISSING,
        "in its registry",
        _MISSING,
        r"",
        advice="see whether name and tag are right; a private one is seen after LoginRegistry alone",
    ),
    _registry(
        Meaning.UNREACHABLE,
        "the registry does not answer",
        pattern=r"connection refused|no such host|i/o timeout|connection reset by peer|: EOF$"
        r"|Client\.Timeout exceeded|no route to host|network is unreachable|server misbehaving"
        r"|TLS handshake timeout|context deadline exceeded",
        advice="see whether the name is right and the host's network lets it through",
    ),
    _registry(
        Meaning.UNREACHABLE,
        "the registry has a trouble of its own",
        pattern=r"(?:unexpected HTTP status|failed with status): 5\d\d",
    ),
    _registry(
        Meaning.UNREACHABLE,
        "the registry takes no more requests for now",
        pattern=r"toomanyrequests: |failed with status: 429",
        advice="use LoginRegistry first: it may let those in more often whom it knows",
    ),
    _registry(
        Meaning.CONFLICT,
        "the engine does not trust the registry's certificate, or it speaks no TLS",
        pattern=r"\bx509: |\btls: |server gave HTTP response to HTTPS client",
        advice="who runs the host may add the certificate's authority, or the registry as an "
        "insecure one, to Docker's settings",
    ),
)


def known(
    table: Iterable[Refusal], status: int, text: str
) -> Iterable[tuple[Refusal, re.Match[str]]]:
    """Return the rows that an answer matches, with what they found in it."""
    for row in table:
        if status in row.statuses and (found := row.pattern.search(text)):
            yield row, found
