"""Users of the host who send file descriptors, whose close would stop the daemon or calls of others."""

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from integration.daemon.conftest import Daemon
from lingering import connection_that_lingers, send
from proa import v1
from requirements import skip_or_fail

LINGERS = 20
SOON = 5.0
HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
_SO_PASSRIGHTS = 83


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "run"
    made.mkdir(mode=0o755)
    return made


@pytest.fixture
def daemon(start_daemon: Callable[..., Daemon], folder: Path) -> Daemon:
    return start_daemon(
        "--memory", PROA_LOGIN_SOCKET=f"{folder}/login", PROA_LISTEN=f"unix:{folder}/rpc"
    )


def takes(daemon: Daemon, folder: Path) -> float:
    """Return for how many seconds a call is served."""
    daemon.address = f"unix:{folder}/rpc"
    begun = time.monotonic()
    with daemon.client() as client:
        client.auth.GetCaller(v1.GetCallerRequest(), timeout=60)
    return time.monotonic() - begun


@pytest.mark.parametrize("then", ["stays", "hangs up"])
@pytest.mark.parametrize("sent", [b"", b"{}\n"], ids=["says nothing", "is answered"])
@pytest.mark.parametrize("where", ["run/login", "daemon0/state/control.sock"])
def test_attack_descriptors_on_a_socket_of_lines_hold_up_no_call(
    daemon: Daemon, folder: Path, tmp_path: Path, where: str, sent: bytes, then: str
) -> None:
    with connection_that_lingers(LINGERS) as descriptor, socket.socket(socket.AF_UNIX) as hostile:
        hostile.connect(str(tmp_path / where))
        hostile.sendall(sent)
        with suppress(OSError):
            send(hostile, descriptor)
        if then == "hangs up":
            hostile.close()
        assert takes(daemon, folder) < SOON


def test_attack_descriptors_on_the_socket_of_calls_hold_up_no_call(
    daemon: Daemon, folder: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        try:
            one.getsockopt(socket.SOL_SOCKET, _SO_PASSRIGHTS)
        except OSError:
            skip_or_fail("it takes Linux 6.16 to refuse descriptors")
    with ExitStack() as open:
        for _ in range(40):
            descriptor = open.enter_context(connection_that_lingers(LINGERS))
            hostile = open.enter_context(socket.socket(socket.AF_UNIX))
            hostile.connect(f"{folder}/rpc")
            hostile.sendall(HELLO)
            with pytest.raises(PermissionError):
                send(hostile, descriptor)
        assert takes(daemon, folder) < SOON
