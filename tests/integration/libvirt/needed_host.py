"""A libvirtd of its own, with what the documents of `hostile_xml.needs` name."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import libvirt

from eventually import wait_until
from guest.media import build_guest, medium
from hostile_xml.needs import FOLDER, SECRET
from integration.libvirt.private_libvirtd import PrivateLibvirtd, private_libvirtd

_MIB = 2**20
_ALL = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE
_NETWORK = """<network><name>{name}</name><forward mode='bridge'/>
<bridge name='{name}'/></network>"""
_LINKS = """ip link set lo up
for name in lab other; do
    ip link add $name type bridge
    ip link set $name up
done"""
_SNAPSHOT = """<domainsnapshot><name>{name}</name><state>shutoff</state>
<creationTime>1</creationTime><memory snapshot='no'/>{domain}</domainsnapshot>"""


@dataclass(frozen=True)
class NeededHost:
    """The libvirtd, a connection beside the driver, and the folder of the documents."""

    libvirtd: PrivateLibvirtd
    raw: libvirt.virConnect
    folder: Path

    def filled(self, text: str) -> str:
        """Return a text with the folder in its place."""
        return text.replace(FOLDER, str(self.folder))

    def names(self) -> set[str]:
        """Return the names of all domains."""
        return {domain.name() for domain in self.raw.listAllDomains()}

    def snapshot(self, domain: libvirt.virDomain, name: str, harmless: str) -> None:
        """Give a domain a snapshot of itself as it is, and let it be harmless from now on."""
        xml = _SNAPSHOT.format(name=name, domain=domain.XMLDesc(_ALL))
        domain.snapshotCreateXML(xml, libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE)
        uuid = f"</name><uuid>{domain.UUIDString()}</uuid>"
        self.raw.defineXML(harmless.replace("</name>", uuid, 1))

    def remove_all(self) -> None:
        """Remove all domains."""
        for domain in self.raw.listAllDomains():
            if domain.isActive():
                domain.destroy()
            domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA)


@contextmanager
def needed_host() -> Iterator[NeededHost]:
    """Run the libvirtd until the block ends."""
    build_guest()
    with ExitStack() as stack:
        # Nobody but root may write a folder on the way to a disk.
        place = tempfile.mkdtemp(prefix="proa-test-", dir="/srv")
        stack.callback(shutil.rmtree, place)
        folder = Path(place)
        folder.chmod(0o755)
        libvirtd = stack.enter_context(private_libvirtd())
        raw = libvirtd.connected()
        stack.callback(raw.close)
        raw.getDomainCapabilities()  # asks QEMU what it can, which takes seconds
        _files(folder, stack)
        assert libvirtd.run("bash", "-ec", _LINKS).wait() == 0
        _objects(raw, folder)
        server = ["qemu-nbd", "--persistent", "--bind=127.0.0.1", "--format=raw"]
        nbd = libvirtd.run(*server, folder / "nbd.raw")
        stack.callback(nbd.wait)
        stack.callback(nbd.kill)
        yield NeededHost(libvirtd, raw, folder)


def _files(folder: Path, stack: ExitStack) -> None:
    for pool in ("lab", "other"):
        (folder / pool).mkdir()
    for file in ("disk.raw", "nbd.raw", "device.raw", "lab/disk.raw", "other/disk.raw"):
        (folder / file).write_bytes(bytes(_MIB))
    secret = ["--object", "secret,id=s,data=hunter2", "-o", "key-secret=s,iter-time=10"]
    image = ["qemu-img", "create", "-q", "-f", "luks", *secret, str(folder / "lab/luks.raw"), "1M"]
    # It measures its own processor time, and now and then there is none to see on a busy machine.
    wait_until(lambda: subprocess.run(image, check=False).returncode == 0, "a LUKS image")
    shutil.copy(medium("vmlinuz"), folder / "vmlinuz")
    (folder / "emulator").write_text('#!/bin/sh\nexec /usr/bin/qemu-system-x86_64 "$@"\n')
    (folder / "emulator").chmod(0o755)
    attach = ["losetup", "--find", "--show", str(folder / "device.raw")]
    device = subprocess.run(attach, check=True, capture_output=True, text=True).stdout.strip()
    stack.callback(subprocess.run, ["losetup", "--detach", device], check=True)
    (folder / "device").symlink_to(device)


def _objects(raw: libvirt.virConnect, folder: Path) -> None:
    for name in ("lab", "other"):
        raw.networkDefineXML(_NETWORK.format(name=name)).create()
        target = f"<target><path>{folder / name}</path></target>"
        raw.storagePoolCreateXML(f"<pool type='dir'><name>{name}</name>{target}</pool>")
    raw.nwfilterDefineXML("<filter name='lab' chain='root'/>")
    secret = f"<secret ephemeral='no' private='no'><uuid>{SECRET}</uuid></secret>"
    raw.secretDefineXML(secret).setValue(b"hunter2")
