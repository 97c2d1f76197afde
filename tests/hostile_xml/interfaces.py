"""Hostile network interfaces."""

from collections.abc import Iterator

from hostile_xml.document import Hostile, in_devices


def _card(more: str, source: str = "<source network='default'/>", type: str = "network") -> str:
    return f"<interface type='{type}'>{source}{more}<model type='virtio'/></interface>"


_PARTS = {
    ("interface beside the networks", "allow_bridges"): [
        _card("", "<source bridge='br0'/>", "bridge"),
        _card("", "<source bridge='br0'/><source bridge='br1'/>", "bridge"),
        _card("", "<source dev='eth0' mode='passthrough'/>", "direct"),
        _card("", "<source dev='eth0' mode='bridge'/>", "direct"),
        _card("", "<source type='unix' path='/run/x' mode='client'/>", "vhostuser"),
        _card("", "<source dev='/dev/vhost-vdpa-0'/>", "vdpa"),
        _card("", "", "user"),
        _card("", "", "ethernet"),
        _card("<target dev='tap0' managed='no'/>", "", "ethernet"),
        _card("", "<source name='x'/>", "internal"),
        _card("", "<source address='192.0.2.1' port='1'/>", "server"),
        _card("", "<source address='192.0.2.1' port='1'/>", "client"),
        _card("", "<source address='230.0.0.1' port='1'/>", "mcast"),
        _card("", "<source address='192.0.2.1' port='1'/>", "udp"),
        _card("", "", "null"),
        _card("", "<source switchid='x' portid='y'/>", "vds"),
        _card("<virtualport type='openvswitch'/>"),
        _card("<virtualport type='802.1Qbh'><parameters profileid='x'/></virtualport>"),
        _card("<vlan><tag id='1'/></vlan>"),
        _card("<vlan trunk='yes'><tag id='1'/><tag id='2'/></vlan>"),
    ],
    ("host device", "allow_host_devices"): [
        _card("", "<source><address type='pci' bus='0x1'/></source>", "hostdev"),
    ],
    ("network script", "allow_network_scripts"): [
        _card("<script path='/tmp/x'/>"),
        _card("<downscript path='/tmp/x'/>"),
    ],
    ("network filter", "allow_network_filters"): [
        _card("<filterref filter='clean-traffic'/>"),
        _card("<filterref filter='allow-all'><parameter name='IP' value='x'/></filterref>"),
    ],
    ("placement or tuning", "allow_pinning"): [
        _card("<bandwidth><inbound average='1'/></bandwidth>"),
    ],
    ("interface not listed", ""): [
        _card("", type="NETWORK"),
        _card("", type="netwerk"),
        "<interface><source network='default'/></interface>",
        "<interface type=''><source network='default'/></interface>",
    ],
    ("attribute not listed", ""): [
        _card("", "<source network='default' portgroup='trunk'/>"),
        _card("", "<source network='default' dev='eth0'/>"),
        _card("", "<source network='default' mode='passthrough'/>"),
        _card("<target dev='vnet0' managed='no'/>"),
        "<interface type='network' managed='yes'><source network='default'/></interface>",
        "<interface type='network' trustGuestRxFilters='yes'><source network='default'/></interface>",
        (
            "<interface type='network'><source network='default'/><mac address='52:54:00:00:00:01' "
            "check='no'/></interface>"
        ),
    ],
    ("element not listed", ""): [
        _card("<driver name='vhost' queues='4'/>"),
        _card("<backend tap='/dev/net/tun' vhost='/dev/vhost-net'/>"),
        _card("<backend type='passt' logFile='/tmp/x'/>"),
        _card("<ip address='192.0.2.1' prefix='24'/>"),
        _card("<route family='ipv4' address='0.0.0.0' gateway='192.0.2.1'/>"),
        _card("<guest dev='eth0'/>"),
        _card("<rom file='/etc/shadow'/>"),
        _card("<tune><sndbuf>0</sndbuf></tune>"),
        _card("<port isolated='no'/>"),
        _card("<teaming type='persistent'/>"),
        _card("<coalesce/>"),
        _card("<portForward proto='tcp'/>"),
        _card("<source2 network='x'/>"),
        _card("", "<source network='default'><address type='pci'/></source>"),
    ],
    ("repeated element", ""): [
        _card("", "<source network='default'/><source network='other'/>"),
        _card("<mac address='52:54:00:00:00:01'/><mac address='52:54:00:00:00:02'/>"),
    ],
    ("value not listed", ""): [
        _card("", "<source network=''/>"),
        _card("", "<source network='-net'/>"),
        _card("", "<source network='../x'/>"),
        _card("", "<source network=' default'/>"),
        _card("<target dev='br0'/>"),
        _card("<target dev='vnet0,script=/tmp/x'/>"),
        _card("<mac address='x'/>"),
        _card("<mac address='52:54:00:00:00:01,x=y'/>"),
        _card("<mtu size='1'/>"),
        _card("<boot order='0'/>"),
        _card("<boot order='-1'/>"),
        _card("<link state='maybe'/>"),
        (
            "<interface type='network'><source network='default'/><model type='virtio,romfile=/etc/x'/>"
            "</interface>"
        ),
        "<interface type='network'><source network='default'/><model type='-netdev'/></interface>",
        *(
            f"<interface type='network'><source network='default'/><model type='{model}'/></interface>"
            for model in ("vfio-pci", "usb-host", "vhost-user-blk-pci", "ivshmem-plain", "")
        ),
    ],
}


def hostile() -> Iterator[Hostile]:
    """Yield the documents."""
    yield from in_devices("interface", _PARTS)
