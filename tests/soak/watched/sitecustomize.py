"""Has a daemon that is started with this on its path tell when a callback takes long.

Python runs this module at its start. Only the main thread's loop is watched, by its
processor time: a busy machine is nobody's fault.
"""

import asyncio
import json
import sys
import time
from typing import Any

import uvloop

_MOST = 0.020
# Typed as Any: methods of both are replaced below.
_Handle: Any = asyncio.Handle
_uvloop: Any = uvloop
_run = _Handle._run


def _what(handle: Any) -> str:
    return repr(getattr(handle._callback, "__self__", handle))


def _watched(handle: Any) -> None:
    began = time.thread_time()
    _run(handle)
    taken = time.thread_time() - began
    if taken > _MOST:
        line = {"event": "callback took long", "ms": round(taken * 1000, 1), "what": _what(handle)}
        sys.stderr.write(json.dumps(line) + "\n")


_Handle._run = _watched
# Its callbacks are not Python's to wrap.
_uvloop.run = asyncio.run
