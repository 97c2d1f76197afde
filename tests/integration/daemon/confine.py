"""Run a program as a unit of systemd confines it: confine.py UNIT WRITABLE PROGRAM ARGUMENTS…

Read the unit, and do what systemd would: capabilities, no new privileges, read-only mounts but for
one folder, a small /proc, no memory both written and executed, a filter of system calls. For hosts
whose first process is not systemd. Must be the first program in a mount namespace of its own.
"""

import configparser
import ctypes
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

_PR_CAPBSET_DROP, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _PR_SET_MDWE = 24, 22, 38, 65
_CAPABILITIES = {"CAP_CHOWN": 0, "CAP_DAC_READ_SEARCH": 2}
_LAST_CAPABILITY = 40
_ARCHITECTURE = 0xC000003E  # x86-64
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050001  # EPERM
_HEADER = "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"
_API_MOUNTS = ("/proc", "/sys", "/dev")

_libc = ctypes.CDLL(None, use_errno=True)


def _prctl(*arguments: int) -> None:
    if _libc.prctl(*(ctypes.c_ulong(each) for each in (*arguments, 0, 0, 0, 0)[:5])) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {arguments[0]}")


def read_only_but(folder: str) -> None:
    """Make all mounts of this namespace read-only but a folder, and hide what /proc shows."""
    mount = ["mount", "--bind"]
    subprocess.run([*mount, folder, folder], check=True)
    subprocess.run(
        ["mount", "-t", "proc", "-o", "subset=pid,hidepid=invisible", "proc", "/proc"], check=True
    )
    targets = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for target in targets:
        if target != folder and not target.startswith(_API_MOUNTS):
            subprocess.run(["mount", "-o", "remount,bind,ro", target], check=False)


def drop_capabilities(kept: list[str]) -> None:
    """Leave only some capabilities in the bounding set, and hence to the program."""
    numbers = {_CAPABILITIES[name] for name in kept}
    for number in set(range(_LAST_CAPABILITY + 1)) - numbers:
        _prctl(_PR_CAPBSET_DROP, number)


def filter_calls(sets: list[str]) -> None:
    """Refuse all system calls but those in systemd's sets."""
    text = subprocess.run(
        ["systemd-analyze", "syscall-filter"], capture_output=True, text=True, check=True
    ).stdout
    members: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("@"):
            current = members.setdefault(line.strip(), [])
        elif line.strip() and not line.strip().startswith("#"):
            current.append(line.strip())
    names: set[str] = set()
    todo = list(sets)
    while todo:
        name = todo.pop()
        if name.startswith("@"):
            todo.extend(members[name])
        else:
            names.add(name)
    found = re.findall(r"#define __NR_(\w+) (\d+)", Path(_HEADER).read_text())
    allowed = [int(number) for name, number in found if name in names]
    # systemd allows what its sets do not know yet but its own program needs: none here.
    steps = [(0x20, 0, 0, 4), (0x15, 1, 0, _ARCHITECTURE), (0x06, 0, 0, _REFUSE), (0x20, 0, 0, 0)]
    for number in allowed:
        steps += [(0x15, 0, 1, number), (0x06, 0, 0, _ALLOW)]
    steps.append((0x06, 0, 0, _REFUSE))
    code = b"".join(struct.pack("HBBI", *step) for step in steps)
    buffer = ctypes.create_string_buffer(code)
    program = ctypes.create_string_buffer(
        struct.pack("HxxxxxxQ", len(steps), ctypes.addressof(buffer))
    )
    _prctl(_PR_SET_SECCOMP, 2, ctypes.addressof(program))


def main() -> None:
    unit, writable, *command = sys.argv[1:]
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(unit)
    service = parser["Service"]
    read_only_but(writable)
    drop_capabilities(service["CapabilityBoundingSet"].split())
    os.umask(int(service["UMask"], 8))
    if service.getboolean("NoNewPrivileges"):
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    if service.getboolean("MemoryDenyWriteExecute"):
        _prctl(_PR_SET_MDWE, 1)
    filter_calls(service["SystemCallFilter"].split())
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
