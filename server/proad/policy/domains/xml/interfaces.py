"""The allowlist of the network interfaces in domain XML."""

from collections.abc import Mapping

from proad.policy.domains.xml.grammar import ElementRules, Need, ValueRule, Variants, denied
from proad.policy.domains.xml.parts import BOOT, BRIDGE, HOST_DEVICE, TUNING, placed
from proad.policy.domains.xml.values import UUID, WORD, YES_NO, Dropped, Like, Named, Number, Words

_NETWORK = Named("allowed_domain_networks", "network not listed", "network")

# libvirt gives QEMU another model as the name of any device.
_MODEL = Words(
    "virtio virtio-transitional virtio-non-transitional e1000 e1000e igb rtl8139 ne2k_pci pcnet "
    "i82551 i82557b i82559er vmxnet3 usb-net spapr-vlan"
)

_SOURCE = ElementRules(
    attributes={
        "network": _NETWORK,
        # What libvirt says of a running domain.
        "portid": Dropped(UUID),
        "bridge": Dropped(WORD),
    }
)


def _beside(message: str) -> ElementRules:
    return denied(BRIDGE[0], message, BRIDGE[1])


_TARGET = ElementRules(attributes={"dev": Dropped(Like("vnet[0-9]{1,9}", "vnet…"))})


def _interface(
    source: ElementRules, *, target: ElementRules = _TARGET, need: Need | None = None
) -> ElementRules:
    return ElementRules(
        children=placed(
            {
                "mac": ElementRules(
                    attributes={"address": Like("([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}", "a MAC")}
                ),
                "source": source,
                "target": target,
                "model": ElementRules(attributes={"type": _MODEL}),
                "link": ElementRules(attributes={"state": Words("up down")}),
                "mtu": ElementRules(attributes={"size": Number(68, 65_535)}),
                "boot": BOOT,
                "virtualport": _beside("ports of a switch are the host's"),
                "vlan": _beside("VLANs are the host's"),
                "script": denied(
                    "network script",
                    "the host would run a script",
                    "allow_network_scripts",
                ),
                "downscript": denied(
                    "network script",
                    "the host would run a script",
                    "allow_network_scripts",
                ),
                "filterref": denied(
                    "network filter",
                    "filters of packets are the host's",
                    "allow_network_filters",
                ),
                "bandwidth": denied(TUNING[0], "limits of a network are the host's", TUNING[1]),
            }
        ),
        need=need,
    )


def _other(attributes: Mapping[str, ValueRule], need: Need, *, whole: bool = False) -> ElementRules:
    source = ElementRules(attributes=attributes, need=need, whole=whole, many=True)
    target = ElementRules(attributes={"dev": WORD, "managed": YES_NO})
    return _interface(source, target=target, need=need)


_BRIDGE = Need(
    rule=BRIDGE[0],
    setting=BRIDGE[1],
    message="the guest would be on another network than those of libvirt",
)
_DEVICE = Need(
    rule=HOST_DEVICE[0],
    setting=HOST_DEVICE[1],
    message="the guest would get a network card of the host",
)

INTERFACE = Variants(
    forms={
        "network": _interface(_SOURCE),
        "bridge": _other({"bridge": WORD}, _BRIDGE),
        "direct": _other({"dev": WORD, "mode": Words("vepa bridge private passthrough")}, _BRIDGE),
        **{
            kind: _other({}, _BRIDGE, whole=True)
            for kind in (
                *("user", "ethernet", "internal", "vhostuser", "vdpa", "null", "vds"),
                *("server", "client", "mcast", "udp"),
            )
        },
        "hostdev": _other({}, _DEVICE, whole=True),
    },
    rule="interface not listed",
    many=True,
)
