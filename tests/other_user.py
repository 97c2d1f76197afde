"""What another user of this host may do."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from requirements import skip_or_fail

NOBODY = 65534
_CONNECT = """
import socket, sys
with socket.socket(socket.AF_UNIX) as one:
    one.connect(sys.argv[1])
"""


def may_connect(path: Path, *, group: int = NOBODY) -> bool:
    """Return whether a user in no other group than this one may connect to a Unix socket.

    The folder of the socket is the working folder, so that the folders above it do not count:
    pytest's are its user's alone.
    """
    python = shutil.which("python3", path="/usr/bin:/bin")
    if os.geteuid() != 0 or python is None:
        skip_or_fail("it takes root and a Python for all users to act as another user")
    done = subprocess.run(
        [python, "-I", "-S", "-c", _CONNECT, path.name],
        cwd=path.parent, user=NOBODY, group=group, extra_groups=[],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0 or "PermissionError" in done.stderr, done.stderr
    return done.returncode == 0


# The process changes its user by itself: to be made with another one, it would have to be forked,
# which gRPC's threads may not survive.
_ASK = """
import os, socket, sys
path, uid, gid, *groups = sys.argv[1:]
os.setgroups([int(each) for each in groups])
os.setgid(int(gid))
os.setuid(int(uid))
with socket.socket(socket.AF_UNIX) as one:
    one.settimeout(20)
    one.connect(path)
    one.sendall(sys.stdin.buffer.read())
    one.shutdown(socket.SHUT_WR)
    with one.makefile("rb") as answers:
        sys.stdout.buffer.write(answers.read())
"""


_IDLE = """
import os, socket, sys
path, first, users, each = sys.argv[1], *map(int, sys.argv[2:])
open_ones = []
for uid in range(first, first + users):
    os.seteuid(uid)
    for _ in range(each):
        open_ones.append(socket.socket(socket.AF_UNIX))
        open_ones[-1].connect(path)
    os.seteuid(0)
print(flush=True)
sys.stdin.read()
"""


@contextmanager
def idle_connections(path: Path, *, first: int, users: int, each: int) -> Iterator[None]:
    """Keep connections of some users open that say nothing: of ids from `first` on."""
    python = shutil.which("python3", path="/usr/bin:/bin")
    if os.geteuid() != 0 or python is None:
        skip_or_fail("it takes root and a Python for all users to act as another user")
    with subprocess.Popen(
        [python, "-I", "-S", "-c", _IDLE, path.name, *map(str, (first, users, each))],
        cwd=path.parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"\n"
            yield
        finally:
            process.stdin.close()


def ask_as(
    uid: int, path: Path, sent: bytes, *, group: int = NOBODY, groups: Sequence[int] = ()
) -> bytes:
    """Return what a Unix socket answers a user; its folder is the working folder, as above."""
    python = shutil.which("python3", path="/usr/bin:/bin")
    if os.geteuid() != 0 or python is None:
        skip_or_fail("it takes root and a Python for all users to act as another user")
    return subprocess.run(
        [python, "-I", "-S", "-c", _ASK, path.name, *map(str, (uid, group, *groups))],
        cwd=path.parent, input=sent, capture_output=True, check=True,
    ).stdout  # fmt: skip
