"""Hostile disks."""

from collections.abc import Iterator

from hostile_xml.document import Hostile, in_devices

_RAW = "<driver name='qemu' type='raw'/>"
_TARGET = "<target dev='vda' bus='virtio'/>"
_SECRET = "6e1c4a3e-3b0e-4d57-9a1f-2f2a5a7f0c11"
_POOL = "/var/lib/libvirt/images"


def _disk(
    source: str,
    more: str = "",
    *,
    type: str = "file",
    driver: str = _RAW,
    target: str = _TARGET,
    attributes: str = "device='disk'",
) -> str:
    return f"<disk type='{type}' {attributes}>{driver}{source}{target}{more}</disk>"


def _volume(more: str = "", inside: str = "", **parts: str) -> str:
    source = f"<source pool='default' volume='x.qcow2'>{inside}</source>"
    return _disk(source, more, type="volume", **parts)


def _file(path: str, **parts: str) -> str:
    return _disk(f"<source file='{path}'/>", **parts)


_PARTS = {
    ("disk file not listed", "disk_roots"): [
        *(
            _file(path)
            for path in (
                *("/etc/shadow", "/dev/sda", "/dev/mem", "/proc/kcore", "/sys/x"),
                *("/root/.ssh/id_ed25519", "/var/run/docker.sock", "/var/lib/proa/proa.db"),
                *(f"{_POOL}/sub/x.qcow2", f"{_POOL}x/y.qcow2", _POOL, "/srv/install.iso"),
                *("/var/lib/libvirt/qemu/nvram/x_VARS.fd", "/-drive", "/ETC/shadow"),
            )
        ),
        _file("/etc/shadow", attributes="device='cdrom'"),
        _file("/srvx/install.iso", attributes="device='cdrom'"),
        _file("/srv", attributes="device='cdrom'"),
        "<disk><driver type='raw'/><source file='/etc/shadow'/><target dev='vda'/></disk>",
    ],
    ("device disk", "allow_device_disks"): [
        _disk("<source dev='/dev/sda'/>", type="block"),
        _disk("<source dev='/dev/mapper/root'/>", type="block"),
        _disk("<source dev='/dev/disk/by-id/x'/>", type="block"),
        _disk("<source dev='/etc/shadow'/>", type="block"),
        _disk("<source dev='/dev/sr0'/>", type="block", attributes="device='cdrom'"),
        _volume(
            "<backingStore type='block'><format type='raw'/><source dev='/dev/sda'/></backingStore>",
        ),
    ],
    ("network disk", "allow_network_disks"): [
        _disk(f"<source protocol='{protocol}' name='x'/>", type="network")
        for protocol in ("nbd", "rbd", "iscsi", "gluster", "sheepdog", "http", "ssh", "nfs")
    ],
    ("disk not listed", ""): [
        _disk("<source dir='/etc'/>", type="dir"),
        _disk("<source type='pci' namespace='1'/>", type="nvme"),
        _disk("<source type='unix' path='/run/x'/>", type="vhostuser"),
        _disk("<source dev='/dev/vhost-vdpa-0'/>", type="vhostvdpa"),
        _disk("<source file='/x'/>", type="FILE"),
        _disk("<source file='/x'/>", type=""),
    ],
    ("disk format", ""): [
        _volume(driver="<driver name='qemu'/>"),
        _volume(driver=""),
        _file(f"{_POOL}/x.qcow2", driver=""),
        _file("/srv/x.iso", driver="", attributes="device='cdrom'"),
        _volume(
            "<backingStore type='file'><source file='/var/lib/libvirt/images/x'/></backingStore>",
        ),
    ],
    ("backing store", ""): [
        _volume(
            "<backingStore type='network'><format type='raw'/><source protocol='nbd'/>"
            "</backingStore>",
        ),
        _volume(
            "<backingStore type='volume'><format type='raw'/><source pool='default' "
            "volume='x'/></backingStore>",
        ),
        _volume("<backingStore type='dir'><format type='raw'/><source dir='/'/></backingStore>"),
    ],
    ("backing store", "allow_backing_stores"): [
        _volume(inside="<slices><slice type='storage' offset='0' size='1'/></slices>"),
    ],
    ("disk secret", "allow_disk_secrets"): [
        _volume(
            inside=f"<encryption format='luks'><secret type='passphrase' uuid='{_SECRET}'/>"
            "</encryption>",
        ),
        _volume(inside=f"<auth username='x'><secret type='ceph' uuid='{_SECRET}'/></auth>"),
        _volume(
            f"<encryption format='qcow'><secret type='passphrase' uuid='{_SECRET}'/></encryption>",
        ),
        _volume(f"<auth username='x'><secret type='iscsi' uuid='{_SECRET}'/></auth>"),
    ],
    ("security label", "allow_security_labels"): [
        _volume(inside="<seclabel model='dac' relabel='yes'/>"),
        _volume(inside="<seclabel model='dac' relabel='no'><label>+0:+0</label></seclabel>"),
    ],
    ("host channel", "allow_host_channels"): [
        _volume(
            inside="<reservations managed='no'><source type='unix' path='/run/x'/></reservations>",
        ),
    ],
    ("placement or tuning", "allow_pinning"): [
        _volume("<iotune><total_iops_sec>1</total_iops_sec></iotune>"),
    ],
    ("attribute not listed", ""): [
        _volume(attributes="device='disk' rawio='yes'"),
        _volume(attributes="device='disk' sgio='unfiltered'"),
        _volume(attributes="device='disk' snapshot='external'"),
        _volume(attributes="device='disk' model='virtio'"),
        _volume(driver="<driver name='qemu' type='raw' iothread='1'/>"),
        _volume(driver="<driver name='qemu' type='raw' queues='64'/>"),
        _volume(driver="<driver name='qemu' type='raw' copy_on_read='on'/>"),
        _disk("<source file='/var/lib/libvirt/images/x' dev='/dev/sda'/>"),
        _disk("<source pool='default' volume='x' file='/etc/shadow'/>", type="volume"),
        _disk("<source pool='default' volume='x' mode='host'/>", type="volume"),
        _disk("<source pool='default' volume='x' fdgroup='x'/>", type="volume"),
        _volume(target="<target dev='vda' removable='on'/>"),
    ],
    ("element not listed", ""): [
        _volume("<mirror type='file' file='/etc/cron.d/x'><source file='/x'/></mirror>"),
        _volume("<transient/>"),
        _volume("<shareable/>"),
        _volume("<serial>x,file=/etc/shadow</serial>"),
        _volume("<wwn>5000c50015ea71ac</wwn>"),
        _volume("<vendor>x</vendor>"),
        _volume("<geometry cyls='1' heads='1' secs='1'/>"),
        _volume("<blockio logical_block_size='1'/>"),
        _volume("<throttlefilters/>"),
        _volume(driver="<driver name='qemu' type='raw'><metadata_cache/></driver>"),
        _volume(inside="<cookies><cookie name='a'>b</cookie></cookies>"),
        _volume(inside="<privateData/>"),
        _volume(inside="<dataStore type='file'><source file='/etc/shadow'/></dataStore>"),
        _volume(inside="<host name='x'/>"),
        _volume(inside="<address type='pci'/>"),
        _volume("<backingStore><source file='/etc/shadow'/></backingStore>"),
    ],
    ("repeated element", ""): [
        _volume("<source pool='default' volume='y'/>"),
        _volume("<source file='/etc/shadow'/>"),
        _volume(driver="<driver type='raw'/><driver type='qcow2'/>"),
        _volume("<target dev='vdb'/>"),
        _volume(
            "<backingStore/><backingStore type='file'><format type='raw'/>"
            "<source file='/etc/shadow'/></backingStore>",
        ),
    ],
    ("value not listed", ""): [
        *(
            _file(path)
            for path in (
                *("", "relative", "-drive", "./x", "../x", 'json:{"file":"/x"}', "nbd:x:1"),
                *(
                    "/a//b",
                    "/a/./b",
                    f"{_POOL}/../../../../etc/shadow",
                    f"{_POOL}/",
                    "//etc/shadow",
                ),
                *(f"{_POOL}/&#10;x", f"{_POOL}/..", " /etc/shadow", f"{_POOL}/x/", "fd:3"),
                *("file:///etc/shadow", "/dev/fdset/1/../x"),
            )
            if '"' not in path
        ),
        (
            "<disk type='file'><driver type='raw'/><source file='json:{&quot;driver&quot;:&quot;x&quot;}'"
            "/><target dev='vda'/></disk>"
        ),
        *(
            _volume(driver=f"<driver name='qemu' type='{format}'/>")
            for format in (
                *("vmdk", "vdi", "vhdx", "qed", "luks", "auto", "QCOW2", "raw ", "", "vpc"),
                *("fat", "dmg", "iso", "qcow"),
            )
        ),
        _volume(driver="<driver name='tap' type='aio'/>"),
        _volume(driver="<driver name='qemu' type='raw' cache='none,file=/x'/>"),
        _volume(driver="<driver name='qemu' type='raw' io='sync'/>"),
        _volume(attributes="device='lun'"),
        _volume(attributes="device='floppy'"),
        _volume(attributes="device='DISK'"),
        _volume(attributes="device=''"),
        _volume(target="<target dev='../x'/>"),
        _volume(target="<target dev='vda,x=y'/>"),
        _volume(target="<target dev='vda' bus='xen'/>"),
        _volume("<boot order='99999999999999999999999'/>"),
        _disk("<source pool='default' volume='../../etc/shadow'/>", type="volume"),
        _disk("<source pool='default' volume='/etc/shadow'/>", type="volume"),
        _disk("<source pool='default' volume='..'/>", type="volume"),
        _disk("<source pool='default' volume=''/>", type="volume"),
        _disk("<source pool='default' volume='-x'/>", type="volume"),
        _disk("<source pool='' volume='x'/>", type="volume"),
        _disk("<source pool='../x' volume='x'/>", type="volume"),
        _disk("<source pool='-x' volume='x'/>", type="volume"),
        _volume(inside="<seclabel model='selinux' relabel='no'/>"),
    ],
}


def hostile() -> Iterator[Hostile]:
    """Yield the documents."""
    yield from in_devices("disk", _PARTS)
