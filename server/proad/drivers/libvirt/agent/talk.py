"""What is said to a guest agent, and what of its answers is believed.

An agent is a program of the guest: its answers may be missing, huge, late or of any other form.
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import libvirt
import libvirt_qemu

from proad.drivers.libvirt.errors import ENGINE, code_of, text_of
from proad.drivers.libvirt.xml.domain_view import agent_connected
from proad.drivers.libvirt.xml.parser import parse
from proad.drivers.tolerant import INT32, Omissions, Value, parse_json
from proad.errors import (
    CapabilityMissingError,
    EngineConflictError,
    EngineTimedOutError,
    InvalidArgumentError,
)
from proad.model import GuestInterface, GuestUser, OperatingSystem

LARGEST_MESSAGE = 96 * 2**10
"""Bytes of a message to an agent: libvirt 9 garbles those of some 200 KiB."""
LARGEST_WRITE = 48 * 2**10
"""Bytes of a file in one message, which has them in base64."""
LARGEST_CAPTURE = 5 * 2**20
"""Characters of an answer with a whole output; libvirt passes on less than that."""
_UINT32 = 2**32 - 1
_LONGEST_PREFIX = 128
_LARGEST_ANSWER = 512 * 2**10
# What an honest answer has at most of these; a few characters of JSON are many bytes in memory.
_MOST_PARTS = 4096
_PARTS = "[{,"
_SILENT = frozenset(
    {
        libvirt.VIR_ERR_AGENT_UNRESPONSIVE,
        libvirt.VIR_ERR_AGENT_UNSYNCED,
        112,  # VIR_ERR_AGENT_COMMAND_TIMEOUT, since libvirt 11.2
    }
)
_COMMAND_FAILED = 113  # VIR_ERR_AGENT_COMMAND_FAILED, since libvirt 11.2
_PAUSED = frozenset({libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PMSUSPENDED})


class AgentRefusedError(EngineConflictError):
    """The agent refused a request; the message contains its own."""

    def __init__(self, text: str) -> None:
        super().__init__(ENGINE, text)
        self.text = text


class GuestPausedError(EngineConflictError):
    """The guest is paused, and its agent with it."""

    def __init__(self) -> None:
        super().__init__(ENGINE, "the guest is paused", hint="resume it first")


class AgentGoneError(EngineConflictError):
    """The agent was there when the call began, and is not any more."""

    def __init__(self) -> None:
        super().__init__(
            ENGINE,
            "the guest agent is gone, as when its guest is started anew, and what became of the call "
            "is not known",
            hint="wait until the guest is ready, and look",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a program in a guest ended.

    Attributes:
        code: its exit code; None: a signal ended it.
        signal: number of that signal; None: `code` has more.
        output: what the agent kept of its standard output.
        error: what the agent kept of its standard error.
        truncated: whether there was more of these.
    """

    code: int | None
    signal: int | None
    output: bytes = field(default=b"", repr=False)
    error: bytes = field(default=b"", repr=False)
    truncated: bool = False


class Talk:
    """Requests to the agent of one domain, on one of the driver's threads.

    Every method raises:
        AgentRefusedError: the agent refuses.
        GuestPausedError: the guest is paused.
        AgentGoneError: no agent is connected any more.
        EngineTimedOutError: the agent does not answer.
        EngineConflictError: the domain does not run, or the answer is of another form.

    Args:
        domain: the domain.
        limit: of an answer, in whole seconds at least.
        omissions: records unreadable parts of answers.
    """

    def __init__(self, domain: libvirt.virDomain, limit: timedelta, omissions: Omissions) -> None:
        self._domain = domain
        self._seconds = max(round(limit.total_seconds()), 1)
        self._omissions = omissions

    def commands(self) -> frozenset[str]:
        """Return the names of the commands that the agent executes."""
        info = self._ask("guest-info")
        return frozenset(
            each["name"].text()
            for each in info["supported_commands"].each()
            if each["enabled"].flag()
        )

    def execute(
        self,
        path: str,
        args: Sequence[str],
        *,
        env: Sequence[str] | None = None,
        input: bytes | None = None,
        capture: bool = True,
    ) -> int:
        """Begin a program, and return its process id.

        Args:
            path: the program.
            args: its arguments, without its name.
            env: its whole environment, as NAME=VALUE; None: that of the agent.
            input: its whole standard input.
            capture: whether the agent keeps what it writes.
        """
        arguments: dict[str, Any] = {"path": path, "arg": [*args], "capture-output": capture}
        if env is not None:
            arguments["env"] = [*env]
        if input is not None:
            arguments["input-data"] = base64.b64encode(input).decode()
        pid = self._ask("guest-exec", arguments)["pid"].count(INT32)
        if not pid:
            raise EngineConflictError(ENGINE, "the guest agent does not tell a process id")
        return pid

    def status(self, pid: int, most: int = _LARGEST_ANSWER) -> Ended | None:
        """Return how a program has ended, once alone: the agent forgets it; None: it runs.

        Args:
            pid: its process id.
            most: characters of the answer.
        """
        answer = self._ask("guest-exec-status", {"pid": pid}, most)
        if not answer["exited"].flag():
            return None
        code = answer["exitcode"].number(-INT32 - 1, _UINT32)
        return Ended(
            # Windows has codes without a sign.
            code=code if code is None or code <= INT32 else code - _UINT32 - 1,
            signal=answer["signal"].number(1, INT32),
            output=_decoded(answer["out-data"], most),
            error=_decoded(answer["err-data"], most),
            truncated=answer["out-truncated"].flag() or answer["err-truncated"].flag(),
        )

    def hostname(self) -> str:
        """Return the host name of the guest."""
        return self._ask("guest-get-host-name")["host-name"].text()

    def operating_system(self) -> OperatingSystem:
        """Return the operating system of the guest."""
        told = self._ask("guest-get-osinfo")
        return OperatingSystem(
            id=told["id"].text(),
            name=told["pretty-name"].text() or told["name"].text(),
            version=told["version-id"].text() or told["version"].text(),
            kernel_release=told["kernel-release"].text(),
            kernel_version=told["kernel-version"].text(),
            architecture=told["machine"].text(),
        )

    def interfaces(self) -> tuple[GuestInterface, ...]:
        """Return the network interfaces of the guest, whatever it says that they are."""
        return tuple(
            GuestInterface(
                name=each["name"].text(),
                mac_address=each["hardware-address"].text().lower(),
                addresses=tuple(_address(entry) for entry in each["ip-addresses"].each()),
            )
            for each in self._ask("guest-network-get-interfaces").each()
        )

    def users(self) -> tuple[GuestUser, ...]:
        """Return the users who are logged in."""
        return tuple(
            GuestUser(
                name=each["user"].text(),
                domain=each["domain"].text(),
                login_time=each["login-time"].timestamp(),
            )
            for each in self._ask("guest-get-users").each()
        )

    def open(self, path: str, mode: str) -> int:
        """Open a file in a mode of fopen, and return its handle."""
        raw = self._ask("guest-file-open", {"path": path, "mode": mode}).number()
        if raw is None:
            raise EngineConflictError(ENGINE, "the guest agent does not tell a handle")
        return raw

    def read(self, handle: int, most: int) -> tuple[bytes, bool]:
        """Return the next bytes of a file, and whether its end is reached."""
        answer = self._ask("guest-file-read", {"handle": handle, "count": most})
        return _decoded(answer["buf-b64"], most), answer["eof"].flag()

    def write(self, handle: int, data: bytes) -> None:
        """Write to a file, by as many messages as that takes."""
        for start in range(0, len(data), LARGEST_WRITE):
            piece = data[start : start + LARGEST_WRITE]
            text = base64.b64encode(piece).decode()
            answer = self._ask("guest-file-write", {"handle": handle, "buf-b64": text})
            if answer["count"].count() != len(piece):
                raise EngineConflictError(ENGINE, "the guest agent writes a part alone")

    def seek(self, handle: int, offset: int) -> None:
        """Go to a place in a file."""
        self._ask("guest-file-seek", {"handle": handle, "offset": offset, "whence": 0})

    def flush(self, handle: int) -> None:
        """Write out what the agent holds of a file."""
        self._ask("guest-file-flush", {"handle": handle})

    def close(self, handle: int) -> None:
        """Close a file."""
        self._ask("guest-file-close", {"handle": handle})

    def _ask(
        self,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        most: int = _LARGEST_ANSWER,
    ) -> Value:
        message = json.dumps({"execute": command, "arguments": arguments or {}})
        if len(message) > LARGEST_MESSAGE:
            raise InvalidArgumentError.of(
                "command.argv",
                f"with its environment it is longer than the {LARGEST_MESSAGE} bytes of a message "
                "to a guest agent",
            )
        try:
            answer = libvirt_qemu.qemuAgentCommand(self._domain, message, self._seconds, 0)
        except libvirt.libvirtError as error:
            self._explain(error)
            raise
        if len(answer) > most or sum(map(answer.count, _PARTS)) > _MOST_PARTS:
            raise EngineConflictError(ENGINE, f"the guest agent says too much to {command}")
        try:
            whole = parse_json(answer.encode(errors="replace"))
        except ValueError:
            raise EngineConflictError(
                ENGINE, f"what the guest agent says to {command} is no JSON"
            ) from None
        return Value(whole, self._omissions, self._domain.UUIDString(), command)["return"]

    def _explain(self, error: libvirt.libvirtError) -> None:
        """Raise the error that an error of libvirt stands for, if it is one of an agent."""
        code = code_of(error)
        if code == _COMMAND_FAILED or (
            code == libvirt.VIR_ERR_INTERNAL_ERROR
            and error.get_error_domain() == libvirt.VIR_FROM_QEMU
        ):
            raise AgentRefusedError(text_of(error)) from None
        if code not in _SILENT and code != libvirt.VIR_ERR_OPERATION_INVALID:
            return
        if self._domain.state()[0] in _PAUSED:
            raise GuestPausedError from None
        if code not in _SILENT:
            raise EngineConflictError(
                ENGINE, "the domain does not run any more, and how the command ended is not known"
            ) from None
        if not agent_connected(parse(self._domain.XMLDesc())):
            raise AgentGoneError from None
        raise EngineTimedOutError(
            ENGINE, f"a request to the guest agent ({text_of(error)})"
        ) from None


def _address(told: Value) -> str:
    prefix = told["prefix"].number(0, _LONGEST_PREFIX)
    return told["ip-address"].text() + ("" if prefix is None else f"/{prefix}")


def agent_missing() -> CapabilityMissingError:
    """Return the error of a domain without an agent."""
    return CapabilityMissingError(
        "commands inside a domain whose guest agent is not connected",
        driver=ENGINE,
        hint="while the guest boots, WaitResource with the condition ready waits for it; else create "
        "the domain with guest_agent, and install and start qemu-guest-agent in the guest",
    )


def _decoded(value: Value, most: int) -> bytes:
    """Return the bytes of a part in base64."""
    raw = value.raw
    if raw is None:
        return b""
    try:
        data = base64.b64decode(raw, validate=True) if isinstance(raw, str) else None
    except (binascii.Error, ValueError):
        data = None
    if data is None or len(data) > most:
        raise EngineConflictError(ENGINE, "the guest agent sends what is no base64, or too much")
    return data
