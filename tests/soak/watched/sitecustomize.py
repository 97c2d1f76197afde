"""Has a daemon that is started with this on its path tell when a callback takes long.

Python runs this module at its start. Only the main thread's loop is watched, by its
processor time: a busy machine is nobody's fault.
"""

import asyncio
import json
import sys
import time

import uvloop

_MOST = 0.020
_run = asyncio.Handle._run


def _what(handle: asyncio.Handle) -> str:
    return repr(getattr(handle._callback, "__self__", handle))


def _watched(handle: asyncio.Handle) -> None:
    began = time.thread_time()
    _run(handle)
    taken = time.thread_time() - began
    if taken > _MOST:
        line = {"event": "callback took long", "ms": round(taken * 1000, 1), "what": _what(handle)}
        sys.stderr.write(json.dumps(line) + "\n")


asyncio.Handle._run = _watched
# Its callbacks are not Python's to wrap.
uvloop.run = asyncio.run
