"""The Unix socket of the engine at hand, and what its other end tells."""

import os
import socket
import struct
from pathlib import Path

from proad.drivers.docker.driver import DEFAULT_URL

_CREDENTIALS = struct.Struct("3i")  # process, user, group


def engine_socket() -> Path:
    """Return the path of the socket that `DOCKER_HOST` names, by default the usual one."""
    return Path((os.environ.get("DOCKER_HOST") or DEFAULT_URL).removeprefix("unix://"))


def engine_root() -> Path:
    """Return the root of the engine's paths, which may be in a tree of its own."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(engine_socket()))
        told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    listening, _, _ = _CREDENTIALS.unpack(told)
    return Path(f"/proc/{listening}/root")
