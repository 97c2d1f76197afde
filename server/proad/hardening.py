"""Hardening of the process, whose memory holds keys and passwords."""

import ctypes
import os
import resource

_PR_SET_DUMPABLE = 4


def harden() -> None:
    """Deny others the memory of this process: no core dump, no debugger but root's.

    The resource limit is not enough: the kernel ignores it where core dumps are piped to a
    program. Files created from now on are accessible to the owner alone.
    """
    os.umask(0o077)
    # Linux only, as the daemon is. Python has no other way to this call.
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the kernel does not deny others this process's memory")
    # Child processes have this limit, too.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
