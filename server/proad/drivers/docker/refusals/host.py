"""What comes out of any call: the host's troubles, and what passes by itself."""

from proad.drivers.docker.refusals.row import CONFLICT, FAULT, Meaning, Refusal, row, wrong

NO_SPACE = row(
    Meaning.EXHAUSTED,
    "no space on the disk",
    FAULT,
    r"no space left on device",
)

HOST: tuple[Refusal, ...] = (
    NO_SPACE,
    wrong(
        "a ulimit under which nothing can start",
        FAULT,
        r"error (?:adding|loading) seccomp filter[^\n]*: (?:cannot allocate memory|too many open files)"
        r"|container init: too many open files",
        "ulimits[]",
    ),
    row(
        Meaning.EXHAUSTED,
        "no memory on the host",
        FAULT,
        r"cannot allocate memory",
        seen=(),
    ),
    wrong(
        "no pattern for names of images",
        FAULT,
        r"syntax error in pattern",
        "reference",
    ),
    row(
        Meaning.PASSING,
        "a removal is under way",
        CONFLICT,
        r"removal of container \S+ is already in progress",
    ),
    row(
        Meaning.PASSING,
        "the container is restarting",
        CONFLICT,
        r"is restarting, wait until the container is running",
    ),
)
