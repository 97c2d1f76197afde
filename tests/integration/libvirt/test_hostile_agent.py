"""An agent whose answers its guest makes up."""

import asyncio
import json
from dataclasses import astuple
from datetime import timedelta
from typing import Any

import pytest

from eventually import eventually
from integration.libvirt.conftest import URI
from integration.libvirt.guests import Guests
from proad.core.guest_info import bounded
from proad.drivers.libvirt import LibvirtDriver
from proad.drivers.libvirt.timing import AgentTiming, LibvirtTiming
from proad.errors import (
    CapabilityMissingError,
    EngineConflictError,
    EngineTimedOutError,
    ProaError,
)
from proad.model import CommandSpec, CommandStreams, GuestInterface

pytestmark = pytest.mark.libvirt

IMPATIENT = LibvirtTiming(
    agent=AgentTiming(answer=timedelta(seconds=5), program=timedelta(seconds=5))
)

# Takes the place of the agent, and answers from files: number N for what follows the N-th
# guest-info, or guest-get-host-name. An empty one is silence.
_AGENT = r"""
until [ -e /go ]; do usleep 50000; done
kill $(pidof qemu-ga)
for port in /sys/class/virtio-ports/*; do
    [ "$(cat "$port/name")" = org.qemu.guest_agent.0 ] && break
done
port=/dev/${port##*/}
until exec 3<>"$port"; do sleep 0.1; done
while :; do echo IMPOSTOR; sleep 1; done >/dev/ttyS0 &
n=0
answer() {
    case $1 in
        *guest-sync*) id=${1##*:}; echo "{\"return\": ${id%%\}*}}"; return ;;
        *guest-info*) n=$((n + 1)); command=info ;;
        *guest-exec-status*) command=status ;;
        *guest-exec*) command=exec ;;
        *guest-file-open*) command=open ;;
        *guest-file-read*) command=read ;;
        *guest-get-host-name*) n=$((n + 1)); command=hostname ;;
        *guest-get-osinfo*) command=system ;;
        *guest-network-get-interfaces*) command=interfaces ;;
        *guest-get-users*) command=users ;;
        *) command=other ;;
    esac
    if [ -e /answers/$n.$command ]; then cat /answers/$n.$command; else cat /answers/$command; fi
}
# Nothing is to be read as long as libvirt has not noticed the new one.
while sleep 0.1; do
    while read -r line <&3; do answer "$line" >&3; done
done
"""
_ALL = (
    "guest-exec",
    "guest-exec-status",
    "guest-file-open",
    "guest-file-read",
    "guest-file-write",
    "guest-file-seek",
    "guest-file-close",
)
_NO_FILES = [{"name": each, "enabled": True} for each in _ALL[:2]]
_USUAL = {
    "info": {"supported_commands": [{"name": each, "enabled": True} for each in _ALL]},
    "exec": {"pid": 7},
    "status": {"exited": False},
    "open": 1000,
    "read": {"count": 0, "buf-b64": "", "eof": True},
    "other": {},
    "hostname": {"host-name": "honest"},
    "system": {"id": "linux", "kernel-release": "6.1"},
    "interfaces": [],
    "users": [],
}
_BASE64 = "QUFB"  # of three bytes
# Each with the error that it ends in, and what that says.
_ANSWERS: tuple[tuple[dict[str, Any], type[ProaError], str], ...] = (
    (
        {"info": {"supported_commands": [[], 5, {"name": 3, "enabled": "x"}]}},
        CapabilityMissingError,
        "turned off",
    ),
    ({"info": []}, CapabilityMissingError, "turned off"),
    (
        {"info": {"supported_commands": [[]] * 20_000}},
        EngineConflictError,
        "too much to guest-info",
    ),
    ({"exec": {"pid": -5}}, EngineConflictError, "process id"),
    ({"exec": {"pid": 2**70}}, EngineConflictError, "process id"),
    ({"exec": "no"}, EngineConflictError, "process id"),
    (
        {"status": {"exited": True, "exitcode": 0, "out-data": "%%%"}},
        EngineConflictError,
        "no base64",
    ),
    (
        {"status": {"exited": True, "exitcode": 0, "out-data": [1]}},
        EngineConflictError,
        "no base64",
    ),
    (
        {"status": {"exited": True, "out-data": _BASE64 * 200_000}},
        EngineConflictError,
        "too much to guest-exec-status",
    ),
    ({"status": {"exited": "yes"}}, EngineTimedOutError, "in time"),
    # Without files the agent keeps the output.
    (
        {"info": {"supported_commands": _NO_FILES}, "status": {"exited": True}},
        EngineConflictError,
        "how the command ended",
    ),
    (
        {
            "info": {"supported_commands": _NO_FILES},
            "status": {"exited": True, "exitcode": 0, "out-truncated": True},
        },
        EngineConflictError,
        "more than its guest agent keeps",
    ),
)


async def _run(driver: LibvirtDriver, id: str, script: str, input: bytes | None = None) -> bytes:
    out = b""
    spec = CommandSpec(argv=("sh", "-c", script))
    async with driver.start_command(id, spec, CommandStreams(input=input)) as command:
        async for piece in command.output():
            out += piece.data
        await command.exit()
    return out


async def _put(driver: LibvirtDriver, id: str, path: str, text: str) -> None:
    assert len(text) < 10**6
    script = f"mkdir -p /answers; cat >{path}; wc -c <{path}"
    assert int(await _run(driver, id, script, text.encode())) == len(text)


async def _replace_agent(driver: LibvirtDriver, guests: Guests, id: str) -> None:
    """Let the guest's own program be its agent."""
    await _put(driver, id, "/impostor", _AGENT)
    for command, answer in _USUAL.items():
        await _put(driver, id, f"/answers/{command}", json.dumps({"return": answer}) + "\n")
    spec = CommandSpec(argv=("sh", "/impostor"))
    async with driver.start_command(id, spec, CommandStreams(detach=True)):
        pass
    # By now the agent has told how its last program ended.
    await guests.says(id, "touch /go", rb"IMPOSTOR")

    async def is_connected() -> bool:
        shown = (await driver.get_resource(id)).domain
        return shown is not None and shown.guest_agent_connected

    await eventually(is_connected)


@pytest.mark.timeout(400)  # emulated, on a machine that may be busy
async def test_answers_that_are_made_up_end_in_errors(driver: LibvirtDriver, guests: Guests):
    guest = await guests.boot()
    for number, (answers, _, _) in enumerate(_ANSWERS, start=1):
        for command, answer in answers.items():
            text = json.dumps({"return": answer}) + "\n"
            await _put(driver, guest.id, f"/answers/{number}.{command}", text)
    await _replace_agent(driver, guests, guest.id)
    for _, error, text in _ANSWERS:
        # One that knows nothing of the guest yet, and asks for what the agent can do.
        async with LibvirtDriver(URI, virt_type="qemu", timing=IMPATIENT) as stranger:
            with pytest.raises(error, match=text):
                async with asyncio.timeout(60):
                    await _run(stranger, guest.id, "true")


_HOSTILE = "\x1b]0;gotcha\x07\x1b[2J\r\n\u202e"
_SILENCE = object()
# Each with what is still believed of it.
_SAYINGS: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
    ({}, {"hostname": "honest", "agent_answered": True, "user_count": 0}),
    (
        {"hostname": {"host-name": 5}, "system": [], "interfaces": {"a": 1}, "users": "all"},
        {"hostname": "", "operating_system": None, "interfaces": (), "users": ()},
    ),
    (
        {
            "hostname": {"host-name": _HOSTILE + "x" * 100_000},
            "system": {"id": _HOSTILE, "pretty-name": "y" * 100_000, "kernel-release": {}},
            "interfaces": [{"name": _HOSTILE, "ip-addresses": [{"ip-address": "10.0.0.1"}] * 900}],
            "users": [{"user": _HOSTILE, "login-time": each} for each in (1e300, -1e18, "x", 0.5)],
        },
        {"agent_answered": True, "user_count": 4, "shortened": True},
    ),
    (
        {"interfaces": [[]] * 20_000, "users": "z" * 700_000},
        {"hostname": "honest", "interfaces": (), "user_count": None, "agent_answered": False},
    ),
    (
        {
            "interfaces": [
                {
                    "hardware-address": "52:54:00:\x1b[2J",
                    "ip-addresses": [
                        {"ip-address": "169.254.1.1", "prefix": 999},
                        {"ip-address": "127.0.0.1", "prefix": 8},
                        {"ip-address": "fe80::1%\x1b[2J", "prefix": 64},
                        {"ip-address": "no; rm -rf /"},
                    ],
                }
            ]
        },
        {"interfaces": (GuestInterface(addresses=("169.254.1.1", "fe80::1/64")),)},
    ),
    ({"users": _SILENCE}, {"hostname": "honest", "user_count": None, "agent_answered": False}),
    ({"hostname": _SILENCE}, {"hostname": "", "operating_system": None, "agent_answered": False}),
    ({}, {"hostname": "honest", "agent_answered": True}),
)


@pytest.mark.timeout(400)  # as above
async def test_sayings_that_are_made_up_are_bounded(driver: LibvirtDriver, guests: Guests):
    guest = await guests.boot()
    for number, (sayings, _) in enumerate(_SAYINGS, start=1):
        for command, saying in sayings.items():
            text = "" if saying is _SILENCE else json.dumps({"return": saying}) + "\n"
            await _put(driver, guest.id, f"/answers/{number}.{command}", text)
    await _replace_agent(driver, guests, guest.id)
    for number, (_, believed) in enumerate(_SAYINGS, start=1):
        async with asyncio.timeout(60):
            info = bounded(await driver.ask_guest(guest.id))
        assert {name: getattr(info, name) for name in believed} == believed, number
        texts = [info.hostname, *(each.name for each in info.users)]
        texts += [each.name for each in info.interfaces]
        texts += [*astuple(info.operating_system)] if info.operating_system else []
        for text in texts:
            assert len(text) <= 255
            assert text.replace("\ufffd", "").isprintable()
