"""The variables of UEFI firmware: where libvirt keeps those of a domain.

Without a path in the XML, libvirt (9.0, at least) derives it from the name at each start: after
a rename the domain would begin with new, empty variables, and its old ones would stay for ever.
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

# What libvirt calls the file of the variables in QEMU's command line.
_NODE = "libvirt-pflash1-storage"


def stated(root: etree._Element) -> str:
    """Return the path of the variables in a domain's XML; empty: it has none."""
    path = root.findtext("os/nvram", "").strip()
    source = root.find("os/nvram/source")
    return path or ("" if source is None else source.get("file", ""))


def pin(connection: libvirt.virConnect, root: etree._Element, id: str) -> str:
    """Put a path by UUID into a domain's XML that has none, where its firmware has variables.

    Args:
        connection: to libvirt.
        root: the `<domain>`, which is changed.
        id: its UUID.

    Returns:
        The path that the XML has then; empty: none.
    """
    if not (path := stated(root)) and (path := _derived(connection, root, id)):
        _state(root, path)
    return path


def keep_over_rename(domain: libvirt.virDomain) -> None:
    """Have a domain keep its variables when its name changes."""
    flags = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE
    root = parse(domain.XMLDesc(flags))
    connection = domain.connect()
    if not stated(root) and (path := _derived(connection, root, domain.name())):
        _state(root, path)
        connection.defineXML(serialise(root))


def is_there(connection: libvirt.virConnect, path: str, *, unseen: bool) -> bool:
    """Return whether there are variables at a path; `unseen` where that cannot be seen."""
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
    """Return what libvirt is to do with the variables of a domain that is undefined.

    Those that libvirt made for it go; those that another domain has too, or that lie where
    libvirt puts none, stay, and so do those of a domain whose XML cannot be read.

    Args:
        domain: the domain.
        users_of: tells who else needs the file at a path.
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


def _namesake(connection: libvirt.virConnect, path: str) -> str:
    """Return the UUID of the domain from whose name libvirt derives this path; empty: none."""
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
    """Return where libvirt would keep the variables of such a domain of that name.

    It alone knows its folder, and by the firmware that it picks the ending. It tells in
    the command line of QEMU, which is made without anything being started.
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
