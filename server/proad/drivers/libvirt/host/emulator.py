"""The emulator of a domain, which libvirt executes as soon as the domain is defined."""

import libvirt
from lxml import etree

from proad.domain_parser import invalid_xml
from proad.drivers.libvirt.errors import code_of
from proad.drivers.libvirt.host.virt import NOT_OFFERED
from proad.drivers.libvirt.xml.parser import parse


def drop_emulator(connection: libvirt.virConnect, root: etree._Element) -> None:
    """Remove `<emulator>` from a caller's domain if it is libvirt's own for that machine.

    libvirt then adds its own again.

    Raises:
        InvalidArgumentError: the emulator is another program.
    """
    named = root.findall("devices/emulator")
    if not named:
        return
    own = _own_emulator(connection, root)
    for element in named:
        path = (element.text or "").strip()
        if len(element) or path != own:
            raise invalid_xml(
                f"must not name the emulator {path!r}, which libvirt would execute at once: "
                "leave <emulator> out, and libvirt takes its own"
                + (f", {own}" if own else "")
                + ". A later release may let the policy of the host allow others"
            )
        parent = element.getparent()
        assert parent is not None  # noqa: S101 - <devices>
        parent.remove(element)


def _own_emulator(connection: libvirt.virConnect, root: etree._Element) -> str:
    """Return the emulator that libvirt uses for such a domain; empty if it knows none."""
    machine = root.find("os/type")
    arch, kind = (None, None) if machine is None else (machine.get("arch"), machine.get("machine"))
    try:
        answer = connection.getDomainCapabilities(None, arch, kind, root.get("type"))
    except libvirt.libvirtError as error:
        if code_of(error) not in NOT_OFFERED:
            raise
        return ""
    return parse(answer).findtext("path", "")
