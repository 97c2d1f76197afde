"""What the process denies itself, because it holds keys and passwords in memory."""

import ctypes
import os
import resource

_PR_SET_DUMPABLE = 4


def harden() -> None:
    """Leave no memory of this process to others: no core dump, no debugger but root's.

    The limit alone does not do: the kernel ignores it where core dumps go to a program.
    Files that are made from now on are the owner's alone unless they are opened up.
    """
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Linux only, as the daemon is. Nothing else in Python leads to this call.
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
