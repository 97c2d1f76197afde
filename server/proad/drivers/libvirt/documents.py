"""The XML that a start, a restart or a revert of a domain would run; on the driver's threads."""

from collections.abc import Callable, Iterator

import libvirt
from lxml import etree

from proad.drivers.libvirt import serial_log, snapshots
from proad.drivers.libvirt.host.virt import is_test
from proad.drivers.libvirt.storage import pools
from proad.drivers.libvirt.storage.disk_images import DiskImages
from proad.model import DomainDocument

_SECURE = libvirt.VIR_DOMAIN_XML_SECURE


def documents_of(
    domain: libvirt.virDomain, images: DiskImages, *, snapshot: str
) -> tuple[DomainDocument, ...]:
    """Return the documents; see `ports.Domains.domain_documents`.

    Raises:
        SnapshotNotFoundError: the domain has no such snapshot.
    """
    connection = domain.connect()
    found: list[DomainDocument] = []
    for read in _readers(domain, snapshot):
        root = pools.document(read)
        if root is None:  # nobody can tell what that would run
            found.append(DomainDocument(xml=""))
            continue
        places = (
            ((root, "/domain"),)
            if root.tag == "domain"
            else tuple(
                (child, f"/{root.tag!s}/{child.tag!s}")
                for child in root
                if child.tag in {"domain", "inactiveDomain"}
            )
        )
        for place, _ in places:
            serial_log.remove(place, domain.UUIDString())
        violations = [each for place in places for each in images.complete(connection, *place)]
        xml = etree.tostring(root, encoding="unicode")
        found.append(DomainDocument(xml=xml, found=tuple(violations)))
    return tuple(found)


def _readers(domain: libvirt.virDomain, snapshot: str) -> Iterator[Callable[[], str]]:
    if snapshot:
        taken = snapshots.find(domain, snapshot)
        flag = 0 if is_test(domain.connect()) else libvirt.VIR_DOMAIN_SNAPSHOT_XML_SECURE
        yield lambda: str(taken.getXMLDesc(flag))
        return
    if domain.isActive():
        yield lambda: str(domain.XMLDesc(_SECURE))
    yield lambda: str(domain.XMLDesc(_SECURE | libvirt.VIR_DOMAIN_XML_INACTIVE))
    if domain.isPersistent() and domain.hasManagedSaveImage() and not is_test(domain.connect()):
        yield lambda: str(domain.managedSaveGetXMLDesc(libvirt.VIR_DOMAIN_SAVE_IMAGE_XML_SECURE))
