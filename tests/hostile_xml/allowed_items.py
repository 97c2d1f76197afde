"""Documents that have, all together, every item of the allowlist of domain XML."""

from dataclasses import dataclass
from itertools import product
from uuid import uuid4

from hostile_xml.document import NAME, whole

POOL, FOLDER, DEVICE = "@POOL@", "@FOLDER@", "@DEVICE@"
"""Stand for a storage pool, for its folder, and for a volume of it that is a block device."""
_UUID = "@UUID@"


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """A document that the default profile allows.

    Attributes:
        id: for the test's name.
        xml: the document, with NAME, POOL, FOLDER and DEVICE.
        unstartable: why no host of the tests can start it; empty: it starts.
        program: what libvirt needs to take it at all; empty: nothing else.
    """

    id: str
    xml: str
    unstartable: str = ""
    program: str = ""

    def filled(self, name: str, pool: str, folder: str, device: str) -> str:
        """Return the document with what its words stand for."""
        xml = self.xml.replace(NAME, name).replace(POOL, pool).replace(_UUID, str(uuid4()))
        return xml.replace(FOLDER, folder).replace(DEVICE, device)


def _placed(slot: int) -> str:
    return f"<alias name='ua-{slot:x}'/><address type='pci' domain='0x0000' bus='0x00' slot='{slot:#x}' function='0x0'/>"


_SOURCES = {
    "file": f"file='{FOLDER}/disk.qcow2'",
    "block": f"dev='{DEVICE}'",
    "volume": f"pool='{POOL}' volume='disk.qcow2'",
}
_STORES = {
    "": "<backingStore/>",
    "file": "<backingStore type='file' index='2'><format type='qcow2'/>"
    f"<source file='{FOLDER}/base.qcow2' startupPolicy='optional' index='2'>"
    "<seclabel model='dac' relabel='no'/></source><backingStore/></backingStore>",
    "block": "<backingStore type='block' index='2'><format type='raw'/>"
    f"<source dev='{DEVICE}' startupPolicy='optional' index='2'>"
    "<seclabel model='dac' relabel='no'/></source><backingStore/></backingStore>",
}


def _disk(type: str, device: str, store: str, number: int) -> str:
    bus, policy, tray = "virtio", "mandatory", ""
    place = f"<address type='pci' domain='0' bus='0' slot='{16 + number}' function='0' multifunction='off'/>"
    if device == "cdrom":
        bus, policy, tray = "sata", "optional", " tray='closed'"
        place = f"<address type='drive' controller='0' bus='0' target='0' unit='{number}'/>"
    return (
        f"<disk type='{type}' device='{device}'><driver name='qemu' type='qcow2' cache='none'"
        " io='native' discard='unmap' detect_zeroes='unmap' error_policy='stop'"
        " rerror_policy='report'/>"
        f"<source {_SOURCES[type]} startupPolicy='{policy}' index='1'>"
        f"<seclabel model='dac' relabel='no'/></source>{_STORES[store]}"
        f"<target dev='{bus[0]}d{'abcdef'[number]}' bus='{bus}'{tray}/><readonly/>"
        f"<boot order='{number + 1}'/><alias name='ua-disk{number}'/>{place}</disk>"
    )


def _disks(store: str, *types: str) -> str:
    """Return disks and media on each type of source, above some image."""
    kinds = enumerate(product(types, ("disk", "cdrom")))
    return whole("".join(_disk(*kind, store, number) for number, kind in kinds))


_METADATA = (
    "<metadata><l:libosinfo xmlns:l='http://libosinfo.org/xmlns/libvirt/domain/1.0'>"
    "<l:os id='http://guests.example/linux/12'/></l:libosinfo>"
    "<p:domain xmlns:p='urn:proa:domain:1' create_time='2026-01-01T00:00:00Z'>"
    "<p:label key='a' value='b'/></p:domain>"
    "<m:label xmlns:m='urn:proa:memory' key='a' value='b'/></metadata>"
)
_Q35 = "<type arch='x86_64' machine='q35'>hvm</type>"
_HYPERV = (
    *("relaxed", "vapic", "vpindex", "runtime", "synic", "reset", "frequencies"),
    *("reenlightenment", "tlbflush", "ipi", "evmcs", "avic"),
)
_DEVICES = "it takes a pool of block devices"
_CODE = "/usr/share/OVMF/OVMF_CODE_4M.fd"

ALLOWED = (
    Allowed(
        id="domain",
        xml=whole(
            "<emulator>/usr/bin/qemu-system-x86_64</emulator>"
            "<graphics type='vnc'><listen type='none'/></graphics>",
            type="type='qemu' id='7'",
            vcpu="<vcpu placement='static' current='1'>2</vcpu>",
            memory="<memory unit='KiB' dumpCore='off'>32768</memory>"
            "<currentMemory unit='KiB' dumpCore='off'>32768</currentMemory>",
            boot=f"<os>{_Q35}<boot dev='hd'/><bootmenu enable='yes' timeout='3000'/></os>",
            more=f"<uuid>{_UUID}</uuid><title>a</title><description>b</description>{_METADATA}"
            "<resource><partition>/machine</partition></resource>"
            "<cpu mode='maximum' migratable='on'/>"
            "<clock offset='utc'><timer name='rtc' present='yes' tickpolicy='catchup'"
            " track='guest'/><timer name='hpet' present='no'/></clock>"
            "<features><acpi/><apic/><pae/><vmport state='off'/>"
            "<smm state='on'><tseg unit='MiB'>16</tseg></smm></features>"
            "<pm><suspend-to-mem enabled='no'/><suspend-to-disk enabled='no'/></pm>"
            "<on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot>"
            "<on_crash>destroy</on_crash>"
            "<seclabel type='dynamic' model='dac' relabel='yes'><label>+1:+1</label>"
            "<imagelabel>+1:+1</imagelabel></seclabel>",
        ),
    ),
    Allowed(
        id="cpu",
        xml=whole(
            vcpu="<vcpu>2</vcpu>",
            more="<cpu mode='custom' match='exact' check='none'>"
            "<model fallback='allow' vendor_id='ProaProaProa'>qemu64</model><vendor>AMD</vendor>"
            "<topology sockets='1' dies='1' clusters='1' cores='2' threads='1'/>"
            "<feature policy='disable' name='svm'/></cpu>",
        ),
    ),
    Allowed(
        id="kvm",
        xml=whole(
            more="<features><apic eoi='on'/><ioapic driver='qemu'/><hyperv mode='custom'>"
            + "".join(f"<{each} state='on'/>" for each in _HYPERV)
            + "<spinlocks state='on' retries='8191'/><stimer state='on'><direct state='on'/></stimer>"
            "<vendor_id state='on' value='Proa'/></hyperv></features>"
        ),
        unstartable="it takes KVM",
    ),
    Allowed(
        id="firmware",
        xml=whole(
            more="<features><acpi/></features>",
            boot=f"<os firmware='efi'>{_Q35}"
            "<firmware><feature enabled='no' name='secure-boot'/></firmware></os>",
        ),
    ),
    Allowed(
        id="firmware-file",
        xml=whole(
            more="<features><acpi/></features>",
            boot=f"<os>{_Q35}<loader readonly='yes' secure='no' type='pflash' format='raw'>{_CODE}"
            "</loader><nvram template='/usr/share/OVMF/OVMF_VARS_4M.fd' templateFormat='raw'"
            f" format='raw'>/var/lib/libvirt/qemu/nvram/{NAME}_VARS.fd</nvram></os>",
        ),
    ),
    Allowed(
        id="firmware-stateless",
        xml=whole(
            more="<features><acpi/></features>",
            boot=f"<os>{_Q35}<loader readonly='yes' type='pflash' stateless='yes'>{_CODE}</loader></os>",
        ),
    ),
    Allowed(
        id="controllers",
        xml=whole(
            "<controller type='pci' index='0' model='pcie-root'>"
            "<pcihole64 unit='KiB'>1048576</pcihole64></controller>"
            "<controller type='pci' index='1' model='pcie-root-port'><model name='pcie-root-port'/>"
            f"<target chassis='1' port='0x10' hotplug='off'/>{_placed(0x10)}</controller>"
            "<controller type='pci' index='2' model='pcie-expander-bus'><model name='pxb-pcie'/>"
            f"<target busNr='254'/>{_placed(0x11)}</controller>"
            "<controller type='pci' index='3' model='dmi-to-pci-bridge'>"
            f"<model name='i82801b11-bridge'/>{_placed(0x12)}</controller>"
            "<controller type='pci' index='4' model='pci-bridge'><model name='pci-bridge'/>"
            "<target chassisNr='4'/></controller>"
            f"<controller type='usb' index='0' model='qemu-xhci' ports='8'>{_placed(0x13)}</controller>"
            "<controller type='usb' index='1' model='ich9-ehci1'>"
            "<address type='pci' domain='0' bus='0' slot='0x14' function='7'/></controller>"
            "<controller type='usb' index='1' model='ich9-uhci1'><master startport='0'/>"
            "<address type='pci' domain='0' bus='0' slot='0x14' function='0' multifunction='on'/>"
            "</controller>"
            f"<controller type='virtio-serial' index='0' ports='16' vectors='4'>{_placed(0x15)}"
            "</controller>"
        ),
    ),
    Allowed(
        id="characters",
        xml=whole(
            boot=f"<os>{_Q35}<bios useserial='yes' rebootTimeout='0'/></os>",
            devices="<controller type='virtio-serial' index='0'/>"
            "<serial type='pty' tty='/dev/pts/3'><source path='/dev/pts/3'/>"
            "<target type='isa-serial' port='0'><model name='isa-serial'/></target>"
            "<alias name='ua-serial'/><address type='isa' iobase='0x3f8' irq='4'/></serial>"
            "<console type='pty' tty='/dev/pts/3'><source path='/dev/pts/3'/>"
            "<target type='serial' port='0'/></console>"
            "<console type='pty'><target type='virtio' port='1'/><alias name='ua-console'/>"
            "<address type='virtio-serial' controller='0' bus='0' port='1'/></console>"
            "<channel type='unix'><source mode='bind'"
            " path='/var/lib/libvirt/qemu/channel/target/domain-1-web/org.qemu.guest_agent.0'/>"
            "<target type='virtio' name='org.qemu.guest_agent.0' state='disconnected'/>"
            "<alias name='ua-agent'/>"
            "<address type='virtio-serial' controller='0' bus='0' port='2'/></channel>",
        ),
    ),
    Allowed(
        id="spice",
        xml=whole(
            "<controller type='usb' index='0' model='qemu-xhci'/>"
            "<channel type='spicevmc'><source/><target type='virtio' name='com.redhat.spice.0'"
            " state='disconnected'/><alias name='ua-spice'/>"
            "<address type='virtio-serial' controller='0' bus='0' port='1'/></channel>"
            "<redirdev bus='usb' type='spicevmc'><boot order='1'/><alias name='ua-redir'/>"
            "<address type='usb' bus='0' port='2'/></redirdev>"
            "<graphics type='spice' port='-1' tlsPort='-1' autoport='yes' listen='127.0.0.1'"
            " keymap='en-us' defaultMode='any'><listen type='address' address='127.0.0.1'/>"
            "<channel name='main' mode='any'/><image compression='auto_glz'/>"
            "<jpeg compression='auto'/><zlib compression='auto'/><playback compression='on'/>"
            "<streaming mode='filter'/><mouse mode='client'/><clipboard copypaste='no'/>"
            "<filetransfer enable='no'/><gl enable='no'/></graphics>"
            "<video><model type='qxl' ram='65536' vram='65536' vram64='65536' vgamem='16384'"
            " heads='1' primary='yes'/></video>"
        ),
    ),
    Allowed(
        id="devices",
        xml=whole(
            "<graphics type='vnc' port='-1' autoport='yes' listen='127.0.0.1' keymap='en-us'"
            " sharePolicy='ignore'><listen type='address' address='127.0.0.1'/></graphics>"
            "<video><model type='virtio' heads='1' primary='yes'>"
            "<acceleration accel2d='no' accel3d='no'/><resolution x='800' y='600'/></model>"
            f"{_placed(0x17)}</video>"
            "<interface type='network'><mac address='52:54:00:01:02:03'/>"
            f"<source network='default' portid='{_UUID}' bridge='virbr0'/><target dev='vnet7'/>"
            "<model type='virtio'/><link state='up'/><mtu size='1400'/><boot order='1'/>"
            f"{_placed(0x18)}</interface>"
            "<controller type='usb' index='0' model='qemu-xhci'/>"
            "<input type='tablet' bus='usb'><alias name='ua-tablet'/>"
            "<address type='usb' bus='0' port='1'/></input>"
            f"<input type='tablet' bus='virtio' model='virtio'>{_placed(0x10)}</input>"
            f"<input type='mouse' bus='virtio' model='virtio'>{_placed(0x11)}</input>"
            f"<input type='keyboard' bus='virtio' model='virtio'>{_placed(0x12)}</input>"
            f"<sound model='ich6'><codec type='duplex'/><audio id='1'/>{_placed(0x13)}</sound>"
            "<audio id='1' type='none'/>"
            "<memballoon model='virtio' autodeflate='on' freePageReporting='on'>"
            f"<stats period='5'/>{_placed(0x14)}</memballoon>"
            "<panic model='isa'><alias name='ua-panic'/><address type='isa' iobase='0x505'/></panic>"
            f"<watchdog model='i6300esb' action='reset'>{_placed(0x15)}</watchdog>"
            "<rng model='virtio'><backend model='random'>/dev/urandom</backend>"
            f"<rate bytes='1024' period='1000'/>{_placed(0x16)}</rng>"
        ),
    ),
    Allowed(
        id="tpm",
        xml=whole(
            "<tpm model='tpm-tis'><backend type='emulator' version='2.0' persistent_state='yes'>"
            "<active_pcr_banks><sha1/><sha256/><sha384/><sha512/></active_pcr_banks></backend>"
            "<alias name='ua-tpm'/></tpm>"
        ),
        program="swtpm",
    ),
    Allowed(id="disks", xml=_disks("", "file", "volume")),
    Allowed(id="disks-above-files", xml=_disks("file", "file", "volume")),
    Allowed(id="disks-above-devices", xml=_disks("block", "file", "volume"), unstartable=_DEVICES),
    *(
        Allowed(id=f"disks-on-devices-{each}", xml=_disks(each, "block"), unstartable=_DEVICES)
        for each in _STORES
    ),
)
"""The documents."""

UNPROVEN = {
    "domain/devices/disk[file][disk]/address[ccid]": "of smart cards, which need a setting",
    "domain/devices/disk[file][disk]/address[ccid]/@controller": "of smart cards",
    "domain/devices/disk[file][disk]/address[ccid]/@slot": "of smart cards",
    "domain/devices/disk[file][disk]/address[unassigned]": "of devices of the host, which need a setting",
    "domain/devices/disk[file][disk]/address[virtio-mmio]": "of machines that are not x86",
    "domain/devices/tpm/address": "of machines that are not x86",
    "domain/devices/controller/target/@index": "of pSeries",
    "domain/features/gic": "of ARM",
    "domain/features/gic/@version": "of ARM",
    "domain/features/hyperv/emsr_bitmap": "of a newer libvirt",
    "domain/features/hyperv/xmm_input": "of a newer libvirt",
}
"""Items that no document has, and why."""
