"""Provocations of every row of the driver's table of refusals."""

from uuid import uuid4

import libvirt

from integration.libvirt.provoking import (
    Provocation,
    defined,
    disk,
    interface,
    kernel,
    machine,
    meanwhile,
    small,
    snapshot,
    started,
    torn,
    unsaved,
    without_network,
    without_pool,
)

NOWHERE = "/var/tmp/proa-test-nowhere/x"
SECRET = (
    "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{path}'>"
    f"<encryption format='luks'><secret type='passphrase' uuid='{uuid4()}'/></encryption>"
    "</source><target dev='vda' bus='virtio'/></disk>"
)
POOLED = (
    "<disk type='volume' device='disk'><source pool='{pool}' volume='proa-test-none'/>"
    "<target dev='vda' bus='virtio'/></disk>"
)
UEFI = "<features><acpi/></features>"

PROVOCATIONS = (
    Provocation("memory for the guest", "start: <memory> of 1 PiB", started(memory=2**40)),
    Provocation(
        "a network that is not active", "start: a network that is not active", without_network
    ),
    Provocation(
        "a pool that is not active", "start: a disk of a pool that is not active", without_pool
    ),
    Provocation(
        "a machine without PCI",
        "define: machine isapc with a virtio device",
        defined(interface("user", "<model type='virtio'/>"), os=machine("isapc")),
    ),
    Provocation(
        "an unknown machine", "define: an unknown machine", defined(os=machine("proa-none"))
    ),
    Provocation(
        "too many vCPUs for the machine", "define: 1,000 <vcpu>", defined(vcpu="<vcpu>1000</vcpu>")
    ),
    Provocation(
        "too many vCPUs for the CPU model",
        "start: 300 <vcpu> on q35 with a CPU without x2APIC",
        started(vcpu="<vcpu>300</vcpu>", os=machine("q35"), more=UEFI),
    ),
    Provocation(
        "a topology of other vCPUs",
        "define: a <topology> of three cores for one <vcpu>",
        defined(more="<cpu><topology sockets='1' cores='3' threads='1'/></cpu>"),
    ),
    Provocation(
        "a CPU mode without KVM",
        'start: <cpu mode="host-passthrough"> under emulation',
        started(more="<cpu mode='host-passthrough'/>"),
    ),
    Provocation(
        "an unknown CPU model",
        "start: an unknown <cpu><model>",
        started(more="<cpu><model>proa-none</model></cpu>"),
    ),
    Provocation(
        "an unknown CPU feature",
        "start: an unknown <feature>",
        started(
            more="<cpu><model>qemu64</model><feature name='proa-none' policy='require'/></cpu>"
        ),
    ),
    Provocation(
        "UEFI without ACPI",
        'define: firmware="efi" without <acpi>',
        defined(os="<os firmware='efi'><type>hvm</type></os>"),
    ),
    Provocation(
        "a CPU with features that it cannot be given",
        'start: check="full" and a <feature> that emulation lacks',
        started(
            more="<cpu check='full'><model>qemu64</model>"
            "<feature name='avx512f' policy='require'/></cpu>"
        ),
    ),
    Provocation(
        "a CPU that the host has not",
        "start: a <cpu><model> that emulation lacks",
        started(more="<cpu check='partial'><model>EPYC-Milan</model></cpu>"),
    ),
    Provocation(
        "firmware that the host has not",
        'start: firmware="efi" with secure boot on machine pc',
        started(
            os="<os firmware='efi'><type machine='pc'>hvm</type>"
            "<firmware><feature enabled='yes' name='secure-boot'/></firmware></os>",
            more=UEFI,
        ),
    ),
    Provocation("an unknown kind of machine", 'define: <domain type="xen">', defined(kind="xen")),
    Provocation(
        "an unknown kind of machine",
        "define: <os><type>xen",
        defined(os="<os><type>xen</type></os>"),
    ),
    Provocation(
        "an unknown kind of machine",
        'define: <type arch="sparc64">',
        defined(os="<os><type arch='sparc64'>hvm</type></os>"),
    ),
    Provocation(
        "a NUMA node that is not there",
        "start: <numatune> to node 99",
        started(more="<numatune><memory mode='strict' nodeset='99'/></numatune>"),
    ),
    Provocation(
        "an unknown network",
        "start: an unknown <source network>",
        started(interface("network", "<source network='proa-none'/>")),
    ),
    Provocation(
        "an unknown network filter",
        "start: an unknown <filterref>",
        started(interface("ethernet", "<filterref filter='proa-none'/>")),
    ),
    Provocation(
        "an unknown pool",
        "start: a disk of an unknown pool",
        started(POOLED.format(pool="proa-test-none")),
    ),
    Provocation(
        "an unknown volume",
        "start: a disk of an unknown volume",
        lambda g: g.define(POOLED.format(pool=g.folder.name)).create(),
    ),
    Provocation(
        "an unknown secret",
        "start: a disk with an unknown <secret>",
        lambda g: g.define(SECRET.format(path=g.file("plain"))).create(),
    ),
    Provocation(
        "an unknown model of a device",
        "start: an unknown <interface><model>",
        started(interface("user", "<model type='proa-none'/>")),
    ),
    Provocation(
        "an unsuitable model of a device",
        "define: <video> of Xen",
        defined("<video><model type='xen'/></video>"),
    ),
    Provocation(
        "an unsuitable model of a device",
        "define: an Intel IOMMU on machine pc",
        defined("<iommu model='intel'/>"),
    ),
    Provocation(
        "an unsuitable model of a device",
        "define: an IDE disk on q35",
        defined(disk(NOWHERE, bus="ide", target="hda"), os=machine("q35")),
    ),
    Provocation(
        "a port out of range",
        "start: VNC on port 22",
        started("<graphics type='vnc' port='22' listen='127.0.0.1'/>"),
    ),
    Provocation(
        "an address that is not the host's",
        "start: VNC on an address of somebody else",
        started("<graphics type='vnc' autoport='yes' listen='203.0.113.9'/>"),
    ),
    Provocation(
        "a network device that is not there",
        "start: an unknown <source bridge>",
        started(interface("bridge", "<source bridge='proa-none'/>")),
    ),
    Provocation(
        "a network device that is not there",
        "start: an unknown <source dev> for macvtap",
        started(interface("direct", "<source dev='proa-none' mode='bridge'/>")),
    ),
    Provocation(
        "CPUs that the host has not",
        "start: <vcpupin> to CPU 999",
        started(more="<cputune><vcpupin vcpu='0' cpuset='999'/></cputune>"),
    ),
    Provocation("a disk that is not there", "start: a disk on no file", started(disk(NOWHERE))),
    Provocation(
        "a kernel that is not there", "start: a <kernel> on no file", started(os=kernel(NOWHERE))
    ),
    Provocation(
        "another file that is not there",
        "start: a TPM of a host that has none",
        started("<tpm model='tpm-tis'><backend type='passthrough'/></tpm>"),
    ),
    Provocation(
        "another file that is not there",
        "start: a USB device of a host that has none",
        started(
            "<hostdev mode='subsystem' type='usb'><source><vendor id='0x1234'/><product id='0x4321'/></source></hostdev>"
        ),
    ),
    Provocation(
        "a file that QEMU may not or cannot open",
        "start: a medium that QEMU may not read",
        lambda g: g.define(
            "<disk type='file' device='cdrom'><source file='{}'>"
            "<seclabel model='dac' relabel='no'/></source><target dev='sda' bus='sata'/>"
            "</disk>".format(g.file("locked.iso", mode=0o600))
        ).create(),
    ),
    Provocation(
        "a disk of another format",
        "start: a raw disk as qcow2",
        lambda g: g.define(disk(g.volume("plain.img", "raw"), "qcow2")).create(),
    ),
    Provocation(
        "a disk that is no file",
        "start: a folder as a disk",
        lambda g: g.define(disk(str(g.folder))).create(),
    ),
    Provocation(
        "a kernel that is none",
        "start: a <kernel> of other bytes",
        lambda g: g.define(os=kernel(g.file("vmlinuz", b"x" * 9000))).create(),
    ),
    Provocation(
        "a base of another format",
        "create volume: on a raw base as qcow2",
        lambda g: g.volume(
            "clone.qcow2",
            more=(
                f"<backingStore><path>{g.volume('plain.img', 'raw')}</path>"
                "<format type='qcow2'/></backingStore>"
            ),
        ),
    ),
    Provocation(
        "a volume that is too large for its format",
        "create volume: qcow2 of 4 EiB",
        lambda g: g.create_volume("huge.qcow2", capacity=2**62),
    ),
    Provocation(
        "a volume that is too large for the file system",
        "create volume: raw of 4 EiB",
        lambda g: g.create_volume("huge.img", "raw", capacity=2**62),
    ),
    Provocation(
        "a name that is too long for the file system",
        "create volume: a name of 256 letters",
        lambda g: g.volume("n" * 256),
    ),
    Provocation(
        "a saved state that is none",
        "restore: a state with another beginning",
        torn(0, b"garbage" * 9),
    ),
    Provocation("a torn saved state", "restore: a state that was cut off", torn(2**17, b"")),
    Provocation(
        "a torn saved state, as QEMU says it", "restore: a state that was cut off", torn(2**17, b"")
    ),
    Provocation(
        "a volume that is being copied or made",
        "delete volume: while a copy is made of it",
        meanwhile(lambda g, v: v.delete()),
    ),
    Provocation(
        "a pool in which something is being made",
        "refresh pool: while a copy is made in it",
        meanwhile(lambda g, v: g.pool.refresh()),
    ),
    Provocation(
        "room on the host",
        "create volume: on a full file system, allocated",
        lambda g: small(g, "raw", allocation=2**26),
    ),
    Provocation(
        "room for an image",
        "create volume: qcow2 on a full file system",
        lambda g: small(g, "qcow2"),
    ),
    Provocation("room for a state", "save: to a full file system", unsaved),
    Provocation(
        "a function that the hypervisor has not",
        "domain capabilities, of the test hypervisor",
        lambda g: libvirt.open("test:///default").getDomainCapabilities(),
    ),
    Provocation(
        "XML that is wrong", "define: two disks as vda", defined(disk(NOWHERE) + disk(NOWHERE))
    ),
    Provocation("XML against the schema", "define: an unknown element", defined("<proa-none/>")),
    Provocation(
        "XML with a wrong detail",
        "snapshot: a name with a slash",
        lambda g: g.define(disk(g.volume(), "qcow2")).snapshotCreateXML(
            "<domainsnapshot><name>a/b</name></domainsnapshot>"
        ),
    ),
    Provocation(
        "an argument that is wrong",
        'define: <domain type="kvm"> on a host without KVM',
        defined(kind="kvm"),
    ),
    Provocation(
        "a domain that contradicts itself",
        "define: more current <vcpu> than there are",
        defined(vcpu="<vcpu current='3'>2</vcpu>"),
    ),
    Provocation(
        "a domain that contradicts itself",
        "define: <boot> in <os> and on a disk",
        lambda g: g.define(
            disk(NOWHERE).replace("</disk>", "<boot order='1'/></disk>"),
            os="<os><type>hvm</type><boot dev='hd'/></os>",
        ),
    ),
    Provocation(
        "what QEMU or the host cannot do",
        'define: <launchSecurity type="sev"> on a host without SEV',
        defined(more="<launchSecurity type='sev'><policy>0x1</policy></launchSecurity>"),
    ),
    Provocation(
        "what QEMU or the host cannot do",
        "snapshot: of a running domain with a raw disk",
        lambda g: snapshot(g, disk(g.volume("plain.img", "raw"))),
    ),
    Provocation(
        "an operation that is not supported",
        "snapshot: of a running domain with UEFI",
        lambda g: snapshot(
            g, disk(g.volume(), "qcow2"), os="<os firmware='efi'><type>hvm</type></os>", more=UEFI
        ),
    ),
)
