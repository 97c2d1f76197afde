"""Paths of the NVRAM files, which hold the UEFI variables of domains.

Without a path in the XML, libvirt (9.0, at least) derives one from the name at each start: after a
rename, the domain would get new, empty variables, and the old file would stay for ever.
"""

import json
import os
import shlex
from collections.abc import Callable, Collection
from contextlib import suppress
from copy import deepcopy
from pathlib import Path

import libvirt
import structlog
from lxml import etree

from proad.drivers.libvirt.errors import code_of, seek
from proad.drivers.libvirt.host.virt import is_local, is_test
from proad.drivers.libvirt.storage.pools import decoded, document
from proad.drivers.libvirt.xml.parser import parse, serialise

_log = structlog.get_logger(__name__)

# libvirt's node name of the NVRAM file in QEMU's command line.
_NODE = "libvirt-pflash1-storage"


def stated(root: etree._Element) -> str:
    """Return the NVRAM path in a domain's XML; empty if there is none."""
    path = root.findtext("os/nvram", "").strip()
    source = root.find("os/nvram/source")
    return path or ("" if source is None else source.get("file", ""))


def pin(connection: libvirt.virConnect, root: etree._Element, id: str) -> str:
    """Add an NVRAM path by UUID to a domain's XML without one, if its firmware has variables.

    Args:
        connection: to libvirt.
        root: the `<domain>`, which is changed.
        id: its UUID.

    Returns:
        The NVRAM path in the XML; empty if there is none.
    """
    if not (path := stated(root)) and (path := _derived(connection, root, id)):
        _state(root, path)
    return path


def keep_over_rename(domain: libvirt.virDomain) -> None:
    """Fix the NVRAM path of a domain before its name changes."""
    flags = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE
    root = parse(domain.XMLDesc(flags))
    connection = domain.connect()
    if not stated(root) and (path := _derived(connection, root, domain.name())):
        _state(root, path)
        connection.defineXML(serialise(root))


def is_there(connection: libvirt.virConnect, path: str, *, unseen: bool) -> bool:
    """Return whether an NVRAM file exists; `unseen` if that cannot be determined."""
    if not is_local(connection):
        return unseen
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return unseen
    return True


def undefine_flag(domain: libvirt.virDomain, users_of: Callable[[str], Collection[str]]) -> int:
    """Return libvirt's undefine flag for the NVRAM file of a domain.

    A file that libvirt created for the domain is deleted. A file that another domain uses too, or
    outside of libvirt's folder, is kept, and so is that of a domain with unreadable XML.

    Args:
        domain: the domain.
        users_of: returns the other users of a file.
    """
    connection = domain.connect()
    if is_test(connection):
        return 0
    id, name = domain.UUIDString(), decoded(domain.name)
    root = document(lambda: domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
    if name is None or root is None:
        _log.info("libvirt.variables_kept", domain=id, path="", users=[])
        return int(libvirt.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM)
    own = _derived(connection, root, name)
    path = stated(root) or own
    if not path:
        return int(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)
    users = users_of(path)
    other = _namesake(connection, path)
    strange = not own or Path(path).parent != Path(own).parent
    if users or strange or (other and other != id):
        _log.info("libvirt.variables_kept", domain=name, path=path, users=users)
        return int(libvirt.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM)
    return int(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)


def folder(connection: libvirt.virConnect) -> str:
    """Return the folder where libvirt places NVRAM files; empty if it has no firmware for any."""
    for machine in ("q35", "virt", ""):
        asked = etree.Element("domain", type="qemu")
        place = etree.SubElement(asked, "os", firmware="efi")
        kind = etree.SubElement(place, "type", {"machine": machine} if machine else {})
        kind.text = "hvm"
        etree.SubElement(etree.SubElement(asked, "features"), "acpi")
        if path := _derived(connection, asked, "proa"):
            return str(Path(path).parent)
    return ""


def _namesake(connection: libvirt.virConnect, path: str) -> str:
    """Return the UUID of the domain whose name this path derives from; empty if there is none."""
    name, found, _ = Path(path).name.rpartition("_VARS.")
    if found and name:
        try:
            return str(seek(connection.lookupByName, name).UUIDString())
        except libvirt.libvirtError as error:
            if code_of(error) != libvirt.VIR_ERR_NO_DOMAIN:
                raise
    return ""


def _state(root: etree._Element, path: str) -> None:
    for place in root.findall("os"):
        element = place.find("nvram")
        if element is None:
            element = etree.SubElement(place, "nvram")
        element.text = path


def _derived(connection: libvirt.virConnect, root: etree._Element, name: str) -> str:
    """Return the NVRAM path that libvirt would derive for such a domain of that name.

    libvirt alone knows its folder, and the suffix depends on the firmware that it selects. QEMU's
    command line, which libvirt generates without a start, contains the path.
    """
    firmware = root.find("os")
    if is_test(connection) or firmware is None or not _has_variables(firmware):
        return ""
    asked = etree.Element("domain", type=root.get("type", "qemu"))
    etree.SubElement(asked, "name").text = name
    etree.SubElement(asked, "memory").text = "65536"
    for part in ("os", "features"):
        if (found := root.find(part)) is not None:
            asked.append(deepcopy(found))
    for element in asked.findall("os/nvram"):
        element.text = None
        for child in element:
            element.remove(child)
    try:
        words = shlex.split(connection.domainXMLToNative("qemu-argv", serialise(asked), 0))
    except (libvirt.libvirtError, ValueError) as error:
        _log.info("libvirt.variables_unknown", error=str(error))
        return ""
    for word in words:
        if word.startswith("{"):
            with suppress(ValueError):
                node = json.loads(word)
                if node.get("node-name") == _NODE:
                    return str(node.get("filename", ""))
    return ""


def _has_variables(firmware: etree._Element) -> bool:
    loader = firmware.find("loader")
    if firmware.get("firmware") == "efi":
        return loader is None or loader.get("stateless") != "yes"
    return loader is not None and loader.get("type") == "pflash"
