"""Hostile devices but for disks and interfaces."""

from collections.abc import Iterator

from hostile_xml.document import Hostile, in_devices

_AGENT = "<target type='virtio' name='org.qemu.guest_agent.0'/>"
_PCI = "<address domain='0x0000' bus='0x00' slot='0x02' function='0x0'/>"

_PARTS = {
    ("host device", "allow_host_devices"): [
        f"<hostdev mode='subsystem' type='pci' managed='yes'><source>{_PCI}</source></hostdev>",
        "<hostdev mode='subsystem' type='usb'><source><vendor id='0x1'/></source></hostdev>",
        (
            "<hostdev mode='subsystem' type='scsi'><source><adapter name='scsi_host0'/></source>"
            "</hostdev>"
        ),
        "<hostdev mode='subsystem' type='scsi_host'><source protocol='vhost'/></hostdev>",
        "<hostdev mode='subsystem' type='mdev' model='vfio-pci'/>",
        (
            "<hostdev mode='capabilities' type='storage'><source><block>/dev/sda</block></source>"
            "</hostdev>"
        ),
        "<hostdev mode='capabilities' type='misc'><source><char>/dev/mem</char></source></hostdev>",
        (
            "<hostdev mode='capabilities' type='net'><source><interface>eth0</interface></source>"
            "</hostdev>"
        ),
        "<hostdev/>",
        "<input type='passthrough' bus='virtio'><source evdev='/dev/input/event0'/></input>",
        "<input type='evdev'><source dev='/dev/input/event0'/></input>",
        (
            "<tpm model='tpm-tis'><backend type='passthrough'><device path='/dev/tpm0'/></backend>"
            "</tpm>"
        ),
        "<rng model='virtio'><backend model='random'>/dev/hwrng</backend></rng>",
        "<rng model='virtio'><backend model='random'>/dev/random</backend></rng>",
        "<video><model type='virtio'><acceleration accel3d='yes'/></model></video>",
        (
            "<graphics type='spice'><listen type='none'/>"
            "<gl enable='yes' rendernode='/dev/dri/renderD128'/></graphics>"
        ),
    ],
    ("shared folder", "allow_shared_folders"): [
        "<filesystem type='mount'><source dir='/'/><target dir='root'/></filesystem>",
        (
            "<filesystem type='mount' accessmode='passthrough'><source dir='/etc'/>"
            "<target dir='x'/></filesystem>"
        ),
        (
            "<filesystem><driver type='virtiofs'/><source socket='/run/x'/><target dir='x'/>"
            "</filesystem>"
        ),
        "<filesystem type='file'><source file='/etc/shadow'/><target dir='x'/></filesystem>",
        "<filesystem type='block'><source dev='/dev/sda'/><target dir='x'/></filesystem>",
        "<filesystem type='ram'><source usage='1'/><target dir='x'/></filesystem>",
        "<filesystem type='bind'><source dir='/'/><target dir='x'/></filesystem>",
        "<filesystem><binary path='/tmp/evil'/><target dir='x'/></filesystem>",
    ],
    ("shared memory", "allow_shared_memory"): [
        "<shmem name='x'><model type='ivshmem-plain'/><size unit='M'>4</size></shmem>",
        "<shmem name='../x'><model type='ivshmem-doorbell'/><server path='/run/x'/></shmem>",
        "<memory model='nvdimm'><source><path>/etc/shadow</path></source></memory>",
        "<memory model='dimm'><target><size unit='G'>1</size></target></memory>",
        "<memory model='virtio-pmem'><source><path>/dev/pmem0</path></source></memory>",
    ],
    ("host channel", "allow_host_channels"): [
        "<serial type='file'><source path='/etc/cron.d/x'/><target port='0'/></serial>",
        "<serial type='pipe'><source path='/tmp/x'/><target port='0'/></serial>",
        "<serial type='dev'><source path='/dev/ttyS0'/><target port='0'/></serial>",
        "<serial type='unix'><source mode='bind' path='/tmp/x'/><target port='0'/></serial>",
        "<serial type='unix'><source mode='connect' path='/run/docker.sock'/></serial>",
        "<serial type='tcp'><source mode='bind' host='0.0.0.0' service='23'/></serial>",
        "<serial type='udp'><source mode='connect' host='10.0.0.1' service='53'/></serial>",
        "<serial type='stdio'><target port='0'/></serial>",
        "<serial type='null'/>",
        "<serial type='vc'/>",
        "<serial type='nmdm'><source master='/dev/nmdm0A' slave='/dev/nmdm0B'/></serial>",
        "<serial type='spiceport'><source channel='x'/></serial>",
        "<serial type='pty'><log file='/etc/cron.d/x' append='on'/></serial>",
        "<console type='file'><source path='/root/.ssh/authorized_keys'/></console>",
        "<console type='unix'><source mode='connect' path='/run/docker.sock'/></console>",
        "<console type='tcp'><source mode='bind' host='::' service='23'/></console>",
        "<console type='pty'><log file='/tmp/x'/></console>",
        f"<channel type='unix'><source mode='bind' path='/run/docker.sock'/>{_AGENT}</channel>",
        (
            f"<channel type='unix'><source mode='connect' path='/run/libvirt/libvirt-sock'/>{_AGENT}"
            "</channel>"
        ),
        f"<channel type='unix'><source mode='connect'/>{_AGENT}</channel>",
        (
            f"<channel type='unix'><source path='/var/lib/libvirt/qemu/channel/target/../../x'/>{_AGENT}"
            "</channel>"
        ),
        "<channel type='unix'><target type='virtio' name='other'/></channel>",
        "<channel type='spicevmc'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>",
        f"<channel type='pty'>{_AGENT}</channel>",
        f"<channel type='file'><source path='/tmp/x'/>{_AGENT}</channel>",
        f"<channel type='dev'><source path='/dev/sda'/>{_AGENT}</channel>",
        f"<channel type='tcp'><source host='0.0.0.0' service='1'/>{_AGENT}</channel>",
        (
            "<channel type='spiceport'><source channel='org.spice-space.webdav.0'/>"
            "<target type='virtio' name='org.spice-space.webdav.0'/></channel>"
        ),
        "<parallel type='dev'><source path='/dev/parport0'/></parallel>",
        "<parallel type='pty'/>",
        "<smartcard mode='host'/>",
        "<smartcard mode='host-certificates'><database>/etc/pki</database></smartcard>",
        "<smartcard mode='passthrough' type='tcp'><source host='x' service='1'/></smartcard>",
        "<redirdev bus='usb' type='tcp'><source mode='connect' host='x' service='1'/></redirdev>",
        "<redirdev bus='usb' type='unix'><source path='/run/x'/></redirdev>",
        "<redirfilter><usbdev allow='yes'/></redirfilter>",
        (
            "<rng model='virtio'><backend model='egd' type='unix'><source path='/run/x'/></backend>"
            "</rng>"
        ),
        (
            "<tpm model='tpm-tis'><backend type='external'><source type='unix' path='/run/x'/>"
            "</backend></tpm>"
        ),
        "<vsock model='virtio'><cid auto='no' address='2'/></vsock>",
    ],
    ("display address not listed", "display_addresses"): [
        "<graphics type='vnc' listen='0.0.0.0'/>",
        "<graphics type='vnc' listen='::'/>",
        "<graphics type='vnc' listen='10.0.0.1'/>",
        "<graphics type='vnc' listen='::ffff:0.0.0.0'/>",
        "<graphics type='vnc'><listen type='address' address='0.0.0.0'/></graphics>",
        (
            "<graphics type='vnc' listen='127.0.0.1'><listen type='address' address='0.0.0.0'/>"
            "</graphics>"
        ),
        (
            "<graphics type='vnc'><listen type='none'/><listen type='address' address='0.0.0.0'/>"
            "</graphics>"
        ),
        "<graphics type='spice' listen='0.0.0.0'/>",
        "<graphics type='spice'><listen type='address' address='::'/></graphics>",
    ],
    ("display address not listed", ""): [
        "<graphics type='vnc'><listen type='network' network='default'/></graphics>",
        "<graphics type='vnc'><listen type='socket' socket='/tmp/x'/></graphics>",
        "<graphics type='vnc'><listen/></graphics>",
        "<graphics type='spice'><listen type='socket'/></graphics>",
    ],
    ("display password", "allow_display_passwords"): [
        "<graphics type='vnc' passwd='x'><listen type='none'/></graphics>",
        "<graphics type='vnc' passwd=''><listen type='none'/></graphics>",
        "<graphics type='spice' passwd='x'><listen type='none'/></graphics>",
        "<graphics type='vnc' passwdValidTo='2040-01-01T00:00:00'><listen type='none'/></graphics>",
        "<graphics type='spice' connected='keep'><listen type='none'/></graphics>",
    ],
    ("screen not listed", ""): [
        "<graphics type='sdl' display=':0.0' xauth='/root/.Xauthority'/>",
        "<graphics type='desktop' display=':0.0'/>",
        "<graphics type='rdp' port='3389'/>",
        "<graphics type='egl-headless'><gl rendernode='/dev/dri/renderD128'/></graphics>",
        "<graphics type='dbus' address='unix:path=/run/x'/>",
        "<graphics type='VNC'/>",
        "<graphics/>",
    ],
    ("disk secret", "allow_disk_secrets"): [
        (
            "<tpm model='tpm-crb'><backend type='emulator' version='2.0'>"
            "<encryption secret='6e1c4a3e-3b0e-4d57-9a1f-2f2a5a7f0c11'/></backend></tpm>"
        ),
    ],
    ("core dump", "allow_coredumps"): [
        "<watchdog model='i6300esb' action='dump'/>",
    ],
    ("emulator", "allowed_emulators"): [
        "<emulator>/tmp/evil</emulator>",
        "<emulator>/bin/sh</emulator>",
        "<emulator>/usr/bin/qemu-system-x86_64 -S</emulator>",
    ],
    ("repeated element", ""): [
        "<emulator>/usr/bin/qemu-system-x86_64</emulator><emulator>/tmp/evil</emulator>",
        "<memballoon model='none'/><memballoon model='virtio'/>",
        "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>" * 2,
        "<rng model='virtio'>" + "<backend model='random'>/dev/urandom</backend>" * 2 + "</rng>",
        "<serial type='pty'><target port='0'/><target port='1'/></serial>",
        "<input type='mouse'><alias name='a'/><alias name='b'/></input>",
        "<video><model type='vga'/><model type='qxl'/></video>",
    ],
    ("element not listed", ""): [
        "<hub type='usb'/>",
        "<nvram><address type='spapr-vio' reg='0x3000'/></nvram>",
        "<lease><lockspace>x</lockspace><key>y</key><target path='/etc/shadow'/></lease>",
        "<iommu model='intel'/>",
        "<crypto model='virtio' type='qemu'><backend model='builtin'/></crypto>",
        "<pstore backend='acpi-erst'><path>/etc/shadow</path></pstore>",
        "<Hostdev mode='subsystem'/>",
        "<HOSTDEV mode='subsystem'/>",
        "<emulator2>/tmp/evil</emulator2>",
        "<video><driver name='vhostuser'/><model type='virtio'/></video>",
        "<controller type='pci' model='pcie-root'><driver iommu='on'/></controller>",
        "<controller type='scsi' model='virtio-scsi'><driver iothread='1'/></controller>",
        "<input type='mouse' bus='virtio'><source evdev='/dev/input/event0'/></input>",
        "<input type='tablet' bus='virtio'><driver iommu='on'/></input>",
        "<memballoon model='virtio'><driver iommu='on'/></memballoon>",
        "<sound model='ich9'><driver/></sound>",
        "<audio id='1' type='none'><input><settings/></input></audio>",
        (
            "<tpm model='tpm-crb'><backend type='emulator'><source type='file' path='/etc'/>"
            "</backend></tpm>"
        ),
        "<tpm model='tpm-crb'><backend type='emulator'><profile source='x'/></backend></tpm>",
        "<graphics type='vnc'><gl enable='yes'/></graphics>",
        "<panic model='isa'><x/></panic>",
        "<input type='mouse'><address type='usb' bus='0' port='1'><zpci uid='1'/></address></input>",
    ],
    ("attribute not listed", ""): [
        "<graphics type='vnc' socket='/tmp/x'/>",
        "<graphics type='vnc' websocket='5700'/>",
        "<graphics type='vnc' websocket='-1'/>",
        "<graphics type='vnc' powerControl='yes'/>",
        "<graphics type='vnc' wait='1'/>",
        "<video><model type='virtio' blob='on'/></video>",
        "<video><model type='virtio' edid='on'/></video>",
        "<tpm model='tpm-crb'><backend type='emulator' debug='20'/></tpm>",
        "<audio id='1' type='none' timerPeriod='1'/>",
        "<input type='mouse' grab='all'/>",
        "<serial type='pty' dev='/dev/x'/>",
        "<emulator arch='x'>/usr/bin/qemu-system-x86_64</emulator>",
        "<input type='mouse'><address type='usb' bus='0' port='1' path='/dev/x'/></input>",
        "<memballoon model='virtio' deflate='on'/>",
    ],
    ("value not listed", ""): [
        "<graphics type='vnc' listen='localhost.example'/>",
        "<graphics type='vnc' listen='127.0.0.1 0.0.0.0'/>",
        "<graphics type='vnc' listen='0'/>",
        "<graphics type='vnc' listen='0x7f000001'/>",
        "<graphics type='vnc' listen='127.1'/>",
        "<emulator> /usr/bin/qemu-system-x86_64</emulator>",
        "<emulator>/usr/bin/../bin/qemu-system-x86_64</emulator>",
        "<emulator>qemu-system-x86_64</emulator>",
        "<emulator/>",
        "<audio id='1' type='file' path='/etc/shadow'/>",
        "<audio id='1' type='pulseaudio' serverName='x'/>",
        "<audio id='1' type='alsa'/>",
        "<audio id='1' type='sdl'/>",
        "<audio id='1' type='dbus'/>",
        "<sound model='-device'/>",
        "<sound model='ich9,audiodev=x'/>",
        "<video><model type='vga,romfile=/etc/shadow'/></video>",
        "<video><model type='vfio'/></video>",
        "<video><model type='virtio' heads='0'/></video>",
        "<video><model type='virtio' heads='4294967297'/></video>",
        "<video><model type='qxl' vram='99999999999'/></video>",
        "<watchdog model='i6300esb' action='exec'/>",
        "<watchdog model='x,file=/y'/>",
        "<rng model='virtio'><backend model='random'>/etc/shadow</backend></rng>",
        "<rng model='virtio'><backend model='random'>/dev/urandom </backend></rng>",
        "<rng model='virtio'><backend model='random'>/dev/../etc/shadow</backend></rng>",
        "<rng model='virtio'><backend model='builtin'/></rng>",
        "<rng model='virtio'><backend/></rng>",
        "<tpm model='tpm-crb'><backend type='emulator' version='9'/></tpm>",
        "<tpm model='tpm-crb'><backend/></tpm>",
        "<controller type='xenbus'/>",
        "<controller type='usb' model='qemu-xhci,romfile=/etc/shadow'/>",
        "<controller type='usb' model='-device'/>",
        "<controller type='usb' index='-1'/>",
        "<controller type='usb' index='99999999999999999999'/>",
        "<controller type='pci' model='pcie-root-port' index='1'><target port='0xg'/></controller>",
        "<input type='mouse' bus='xen'/>",
        "<input type='joystick'/>",
        "<input type='mouse'><alias name='ua-x,foo=bar'/></input>",
        "<input type='mouse'><alias name='ua-../x'/></input>",
        "<input type='mouse'><alias name=''/></input>",
        "<input type='mouse'><address type='pci' domain='0x0000,x' bus='0' slot='0'/></input>",
        "<input type='mouse'><address type='spapr-vio' reg='0x1'/></input>",
        "<input type='mouse'><address type='css'/></input>",
        "<serial type='pty'><source path='/etc/shadow'/></serial>",
        "<serial type='pty'><target type='-isa' port='0'/></serial>",
        "<console type='pty' tty='/etc/shadow'/>",
        "<graphics type='vnc' port='22'><listen type='none'/></graphics>",
        "<graphics type='vnc' port='5900,websocket=1'><listen type='none'/></graphics>",
        "<graphics type='vnc' keymap='../../etc/x'><listen type='none'/></graphics>",
        "<graphics type='vnc' keymap='-k'><listen type='none'/></graphics>",
        "<graphics type='vnc' autoport='maybe'><listen type='none'/></graphics>",
        "<graphics type='spice'><listen type='none'/><image compression='a,b=c'/></graphics>",
        "<memballoon model='xen'/>",
        "<panic model='evil'/>",
        "<redirdev bus='pci' type='spicevmc'/>",
    ],
    ("text not listed", ""): [
        "<memballoon model='none'>x</memballoon>",
        "<input type='mouse'>/dev/input/event0</input>",
    ],
}


def hostile() -> Iterator[Hostile]:
    """Yield the documents."""
    yield from in_devices("device", _PARTS)
