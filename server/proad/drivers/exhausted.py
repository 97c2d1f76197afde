"""Failures of system calls that tell of this process, and of nothing that it has looked at."""

import errno

from proad.errors import HostExhaustedError

_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})


def is_exhausted(error: OSError) -> bool:
    """Return whether there is no descriptor or no memory left: another attempt may succeed."""
    return error.errno in _EXHAUSTED


def exhausted(engine: str, error: OSError) -> HostExhaustedError:
    """Return the error of a call for which there was nothing left."""
    return HostExhaustedError(engine, f"the daemon: {error.strerror}")
