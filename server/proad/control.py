"""The control socket: commands on the host ask the running daemon, and hear what came of it."""

import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from proad.errors import NotFoundError, ProaError, SetupError
from proad.lines import LineLimits, Peer, answering
from proad.sockets import SocketAccess, bound, short_address


class NotServedError(SetupError):
    """No daemon answers on a state folder."""


Command = Callable[..., Awaitable[Mapping[str, object]]]
"""Does what a command on the host asks for, with the words after its name."""

_NAME = "control.sock"
# A reload takes as long as the files take to be read.
_ANSWER_TIMEOUT = 60.0
# All commands are of one user, and have as many words as that user likes.
_LIMITS = LineLimits(connections_of_user=64, line_bytes=2**20)


class Control:
    """The commands that the running daemon does."""

    def __init__(self) -> None:
        self._commands: dict[str, Command] = {}

    def add(self, name: str, command: Command) -> None:
        """Do a command from now on."""
        self._commands[name] = command

    async def run(self, line: bytes) -> Mapping[str, object]:
        """Run the command in a line, and return its answer; an answer with "error" is a failure."""
        name, *words = json.loads(line)
        if (command := self._commands.get(name)) is None:
            return {"error": "unknown command; are proad and the daemon of one version?"}
        try:
            return await command(*words)
        except NotFoundError as error:
            return {"error": error.on_host}
        except (SetupError, ProaError) as error:
            return {"error": str(error)}


@asynccontextmanager
async def controlled(state_dir: Path, control: Control) -> AsyncIterator[None]:
    """Answer commands on the control socket of a state folder, which this daemon holds.

    The socket is its user's alone: whoever may connect may also send signals to the daemon.

    Raises:
        SetupError: the socket cannot be made.
    """

    async def answer(line: bytes, _peer: Peer) -> bytes:
        try:
            return json.dumps(await control.run(line)).encode()
        except (TypeError, RecursionError) as error:
            raise ValueError("no command of ours") from error

    with bound(state_dir / _NAME, SocketAccess(mode=0o600)) as listening:
        async with answering(listening, answer, _LIMITS):
            yield


def ask_to_reload(state_dir: Path) -> tuple[list[str], list[str]]:
    """Let the daemon of a state folder reload; return what changed, and what needs a restart.

    Raises:
        SetupError: no daemon answers there, or it could not reload; then nothing changed.
    """
    answer = ask(state_dir, "reload")
    if "error" in answer:
        raise SetupError(f"not reloaded, nothing changed:\n{answer['error']}")
    return answer["changed"], answer["restart"]


def ask(state_dir: Path, *command: str) -> dict[str, Any]:
    """Let the daemon of a state folder run a command, and return its answer.

    Raises:
        NotServedError: no daemon runs there.
        SetupError: it does not answer, or the command is too long for it.
    """
    path = state_dir / _NAME
    asked = json.dumps(command).encode() + b"\n"
    if len(asked) > _LIMITS.line_bytes:
        raise SetupError("the command is too long for the daemon; nothing changed")
    try:
        with short_address(path) as address, socket.socket(socket.AF_UNIX) as daemon:
            daemon.settimeout(_ANSWER_TIMEOUT)
            daemon.connect(address)
            daemon.sendall(asked)
            with daemon.makefile("rb") as answers:
                line = answers.readline()
    except (FileNotFoundError, ConnectionRefusedError):
        raise NotServedError(
            f"no daemon runs on {state_dir}; start it, or name its settings with --config"
        ) from None
    except TimeoutError:
        raise SetupError(f"the daemon on {state_dir} does not answer; its log has more") from None
    except OSError as error:
        raise SetupError(f"{path}: {error.strerror}") from error
    if not line:
        raise SetupError("the daemon ended before it answered; its log has more")
    answer: dict[str, Any] = json.loads(line)
    return answer
