"""Helpers that make libvirt refuse a call."""

import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import libvirt

from requirements import skip_or_fail

PREFIX = "proa-test-refused-"
Provoke = Callable[["Ground"], object]
_GONE = (
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
)


@dataclass
class Ground:
    """The setting of a provocation: a folder with its own pool, and one domain at a time."""

    raw: libvirt.virConnect
    folder: Path
    name: str = field(default_factory=lambda: PREFIX + uuid4().hex[:8])

    @property
    def pool(self) -> libvirt.virStoragePool:
        return self.raw.storagePoolLookupByName(self.folder.name)

    def xml(
        self,
        devices: str = "",
        *,
        kind: str = "qemu",
        os: str = "<os><type>hvm</type></os>",
        memory: int = 32768,
        vcpu: str = "<vcpu>1</vcpu>",
        more: str = "",
    ) -> str:
        return (
            f"<domain type='{kind}'><name>{self.name}</name><memory>{memory}</memory>"
            f"{vcpu}{os}{more}<devices>{devices}</devices></domain>"
        )

    def define(self, devices: str = "", **fields: str | int) -> libvirt.virDomain:
        xml = self.xml(devices, **fields)  # type: ignore[arg-type] # typed by xml
        return self.raw.defineXMLFlags(xml, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)

    def volume(self, name: str = "disk.qcow2", format: str = "qcow2", more: str = "") -> str:
        """Create a volume of a MiB unless it exists, and return its path."""
        made = self.create_volume(name, format, more=more)
        return str(made.path())

    def create_volume(
        self, name: str, format: str = "qcow2", capacity: int = 2**20, more: str = ""
    ) -> libvirt.virStorageVol:
        with suppress(libvirt.libvirtError):
            return self.pool.storageVolLookupByName(name)
        return self.pool.createXML(
            f"<volume><name>{name}</name><capacity>{capacity}</capacity>"
            f"<allocation>0</allocation><target><format type='{format}'/></target>{more}</volume>"
        )

    def file(self, name: str, contents: bytes = b"", mode: int = 0o644) -> str:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(contents)
        path.chmod(mode)
        return str(path)

    def clear(self) -> None:
        with suppress(libvirt.libvirtError):
            domain = self.raw.lookupByName(self.name)
            with suppress(libvirt.libvirtError):
                domain.destroy()
            domain.undefineFlags(_GONE)


def disk(path: str, format: str = "raw", *, bus: str = "virtio", target: str = "vda") -> str:
    return (
        f"<disk type='file' device='disk'><driver name='qemu' type='{format}'/>"
        f"<source file='{path}'/><target dev='{target}' bus='{bus}'/></disk>"
    )


def defined(devices: str = "", **fields: str | int) -> Provoke:
    """Define a domain."""
    return lambda ground: ground.define(devices, **fields)


def started(devices: str = "", **fields: str | int) -> Provoke:
    """Define a domain and start it."""
    return lambda ground: ground.define(devices, **fields).create()


def torn(where: int, garbage: bytes) -> Provoke:
    """Start from a saved state that was overwritten or truncated at an offset."""

    def start(ground: Ground) -> None:
        domain = ground.define(disk(ground.volume(), "qcow2"))
        domain.create()
        state = str(ground.folder / f"{ground.name}.state")
        domain.save(state)
        with Path(state).open("r+b") as file:
            file.seek(where)
            if garbage:
                file.write(garbage)
            else:
                file.truncate()
        ground.raw.restore(state)

    return start


def meanwhile(act: Callable[[Ground, libvirt.virStorageVol], object]) -> Provoke:
    """Act on a volume while it is being copied."""

    def provoke(ground: Ground) -> None:
        source = ground.create_volume("large.img", "raw", capacity=2**31)
        copy = ground.folder / "copy.img"
        xml = source.XMLDesc().replace("large.img", "copy.img")
        uri = ground.raw.getURI()

        def clone() -> None:
            with libvirt.open(uri) as own:
                pool = own.storagePoolLookupByName(ground.folder.name)
                pool.createXMLFrom(xml, pool.storageVolLookupByName("large.img"))

        with ThreadPoolExecutor(1) as copying:
            cloned = copying.submit(clone)
            while not copy.exists():
                assert not cloned.done(), cloned.exception()
            act(ground, source)

    return provoke


def without_network(ground: Ground) -> None:
    """Start a domain on a network that is not active."""
    xml = f"<network><name>{ground.name}</name><bridge name='{ground.name[-8:]}'/></network>"
    network = ground.raw.networkDefineXML(xml)
    try:
        ground.define(interface("network", f"<source network='{ground.name}'/>")).create()
    finally:
        network.undefine()


def without_pool(ground: Ground) -> None:
    """Start a domain with a volume of a pool that is not active."""
    pool = ground.raw.storagePoolDefineXML(
        f"<pool type='dir'><name>{ground.name}</name>"
        f"<target><path>{ground.folder}/inactive</path></target></pool>"
    )
    try:
        ground.define(
            "<disk type='volume' device='disk'><target dev='vda'/>"
            f"<source pool='{ground.name}' volume='disk.qcow2'/></disk>"
        ).create()
    finally:
        pool.undefine()


@contextmanager
def small_pool(ground: Ground) -> Iterator[libvirt.virStoragePool]:
    """Mount a nearly full file system below the folder, and yield a pool on it."""
    folder = ground.folder / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=755", "tmpfs", folder], check=True)
    try:
        (folder / "filler").write_bytes(b"x" * (2**21 - 2**16))
        pool = ground.raw.storagePoolCreateXML(
            f"<pool type='dir'><name>{folder.parent.name}-small</name>"
            f"<target><path>{folder}</path></target></pool>"
        )
        try:
            if pool.info()[1] > 2**21:
                skip_or_fail("this libvirtd has mounts of its own")
            yield pool
        finally:
            pool.destroy()
    finally:
        subprocess.run(["umount", folder], check=True)


def small(ground: Ground, format: str, allocation: int = 0) -> None:
    """Create a volume on the full file system."""
    with small_pool(ground) as pool:
        pool.createXML(
            f"<volume><name>x</name><capacity>{2**26}</capacity>"
            f"<allocation>{allocation}</allocation><target><format type='{format}'/>"
            "</target></volume>"
        )


def unsaved(ground: Ground) -> None:
    """Save a domain on a file system without room for its memory."""
    domain = ground.define(disk(ground.volume(), "qcow2"))
    domain.create()
    with small_pool(ground):
        domain.save(str(ground.folder / "small/state"))


def snapshot(ground: Ground, devices: str, **fields: str | int) -> None:
    domain = ground.define(devices, **fields)
    domain.create()
    domain.snapshotCreateXML("<domainsnapshot><name>one</name></domainsnapshot>")


def interface(kind: str, inside: str) -> str:
    return f"<interface type='{kind}'>{inside}</interface>"


def kernel(path: str) -> str:
    return f"<os><type>hvm</type><kernel>{path}</kernel></os>"


def machine(name: str) -> str:
    return f"<os><type machine='{name}'>hvm</type></os>"


@dataclass(frozen=True)
class Provocation:
    """A call that libvirt must refuse.

    Attributes:
        row: name of the row that it must meet.
        call: the call, for docs/refusals.md.
        provoke: makes it; raises.
    """

    row: str
    call: str
    provoke: Provoke
