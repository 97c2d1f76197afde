"""What comes out of any call: the host's troubles, and what passes by itself."""

from proad.drivers.docker.refusals.row import (
    CONFLICT,
    FAULT,
    DockerRefusal,
    RefusalMeaning,
    row,
    wrong,
)

# The engine says last why something failed; before that it passes on what a request or an image
# holds, which may sound the same.
_LAST = r"(?:: unknown)?$"

NO_SPACE = row(
    RefusalMeaning.EXHAUSTED,
    "no space on the disk",
    FAULT,
    rf"no space left on device{_LAST}",
)

HOST: tuple[DockerRefusal, ...] = (
    NO_SPACE,
    wrong(
        "a ulimit under which nothing can start",
        FAULT,
        r"error (?:adding|loading) seccomp filter[^\n]*: (?:cannot allocate memory|too many open files)"
        r"|container init: too many open files",
        "ulimits[]",
    ),
    row(
        RefusalMeaning.EXHAUSTED,
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
        RefusalMeaning.PASSING,
        "a removal is under way",
        CONFLICT,
        r"removal of container \S+ is already in progress",
    ),
    row(
        RefusalMeaning.PASSING,
        "the container is restarting",
        CONFLICT,
        r"is restarting, wait until the container is running",
    ),
)
