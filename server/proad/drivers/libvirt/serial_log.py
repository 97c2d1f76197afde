"""The log of a domain's serial port: a file that libvirt writes, for the domains that Proa makes.

virtlogd keeps the file small: the last `max_backups` + 1 files of `max_size` bytes, by its settings
3 + 1 of 2 MiB.
"""

import os
import re
import stat
from pathlib import Path

import libvirt
from lxml import etree

from proad.drivers.libvirt.errors import ENGINE
from proad.drivers.libvirt.host.virt import is_local
from proad.errors import CapabilityMissingError

FOLDER = Path("/var/log/libvirt/qemu")
"""Where the system's libvirtd has the logs of domains, whose it is."""

_SYSTEM = "/system"
_PREFIX, _SUFFIX = "proa-", ".serial.log"
_OURS = re.compile(
    rf"{re.escape(str(FOLDER))}/{_PREFIX}[0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}"
    rf"{re.escape(_SUFFIX)}"
)
# Most files that a log is looked for in; virtlogd has no more by its own settings.
_MOST_FILES = 32


def path_of(id: str) -> Path:
    """Return the file of a domain's log."""
    return FOLDER / f"{_PREFIX}{id}{_SUFFIX}"


def is_ours(element: etree._Element) -> bool:
    """Return whether an element of domain XML is the log of some domain that Proa has made."""
    return (
        element.tag == "log"
        and set(element.keys()) <= {"file", "append"}
        and not len(element)
        and _OURS.fullmatch(element.get("file", "")) is not None
    )


def add(connection: libvirt.virConnect, root: etree._Element, id: str) -> None:
    """Have a new domain's first serial port logged, where its libvirtd can, and we can read it.

    What its maker may ask for has been judged before: this is our own.
    """
    if not is_local(connection) or _driver_of(connection) != _SYSTEM or not FOLDER.is_dir():
        return
    devices = root.find("devices")
    first = None if devices is None else devices.find("serial")
    if first is not None and first.get("type") == "pty" and first.find("log") is None:
        etree.SubElement(first, "log", file=str(path_of(id)), append="on")


def remove(root: etree._Element, id: str = "") -> None:
    """Take our logs out of domain XML.

    Args:
        root: the domain.
        id: of the domain whose log it is; empty: of any.
    """
    for log in [*root.iter("log")]:
        if is_ours(log) and (not id or log.get("file") == str(path_of(id))):
            parent = log.getparent()
            if parent is not None:
                parent.remove(log)


def check(connection: libvirt.virConnect, root: etree._Element, id: str) -> None:
    """Check that a domain has a log that we keep.

    Raises:
        CapabilityMissingError: it has none.
    """
    if not is_local(connection):
        raise _missing("its host is another one")
    if not any(each.get("file") == str(path_of(id)) for each in root.iter("log")):
        raise _missing(
            "none is kept: it was not made through proad, before there were logs, or without a "
            "serial port"
        )


def open_files(id: str, known: int = 0) -> list[int]:
    """Open the files of a log, the oldest one first; those newer than a known one.

    Args:
        id: the domain.
        known: inode of the newest file that was read; 0: none.

    Raises:
        CapabilityMissingError: they cannot be read.
    """
    path, found, seen = path_of(id), list[int](), {known}
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            # From the newest one: when they are renamed meanwhile, one may be met twice.
            for name in (path.name, *(f"{path.name}.{each}" for each in range(_MOST_FILES))):
                try:
                    file = os.open(
                        name,
                        os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC,
                        dir_fd=folder,
                    )
                except FileNotFoundError:
                    if name == path.name:
                        continue  # it is about to be made anew
                    break
                found.append(file)
                status = os.fstat(file)
                if not stat.S_ISREG(status.st_mode):
                    raise _missing("its file is none")
                if status.st_ino == known:
                    os.close(found.pop())
                    break
                if status.st_ino in seen:
                    os.close(found.pop())
                    continue
                seen.add(status.st_ino)
        finally:
            os.close(folder)
    except FileNotFoundError:
        return []
    except OSError as error:
        _close(found)
        raise _missing(f"its file cannot be read ({error.strerror})") from None
    except BaseException:
        _close(found)
        raise
    return found[::-1]


def delete(id: str) -> None:
    """Delete the files of a log, as far as that is allowed."""
    path = path_of(id)
    for name in (path.name, *(f"{path.name}.{each}" for each in range(_MOST_FILES))):
        try:
            (path.parent / name).unlink()
        except FileNotFoundError:
            if name != path.name:
                return
        except OSError:
            return


def _close(files: list[int]) -> None:
    for file in files:
        os.close(file)


def _driver_of(connection: libvirt.virConnect) -> str:
    """Return which libvirtd of QEMU's it is, such as /system; empty: another kind."""
    if connection.getType() != "QEMU":
        return ""
    return "/" + str(connection.getURI()).partition("://")[2].partition("/")[2].partition("?")[0]


def _missing(why: str) -> CapabilityMissingError:
    return CapabilityMissingError("logs of this domain", driver=ENGINE, hint=why)
