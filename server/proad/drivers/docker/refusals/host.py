"""What comes out of any call: the host's troubles, and what passes by itself."""

from proad.drivers.docker.refusals.row import CONFLICT, FAULT, Meaning, Refusal, row, wrong

# The engine says last why something failed; before that it passes on what a request or an image
# holds, which may sound the same.
_LAST = r"(?:: unknown)?$"

NO_SPACE = row(
    Meaning.EXHAUSTED,
    "no space on the disk",
    FAULT,
    rf"no space left on device{_LAST}",
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
        rf"cannot allocate memory{_LAST}",
        seen=(),
    ),
    wrong(
        "no pattern for names of images",
        FAULT,
        rf"syntax error in pattern{_LAST}",
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
