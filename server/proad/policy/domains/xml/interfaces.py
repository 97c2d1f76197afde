"""The allowlist of the network interfaces in domain XML."""

from collections.abc import Mapping
from dataclasses import dataclass

from proad.policy import shared_networks
from proad.policy.domains.networks import DEFAULT_NETWORK, own_networks
from proad.policy.domains.xml.grammar import (
    DocumentContext,
    ElementRules,
    Fault,
    Need,
    Power,
    ValueRule,
    Variants,
    denied,
)
from proad.policy.domains.xml.parts import BOOT, HOST_DEVICE, TUNING, placed
from proad.policy.domains.xml.values import UUID, WORD, YES_NO, Dropped, Like, Named, Number, Words

_BRIDGE = Power("interface beside the networks", "allow_bridges")
_SCRIPT = Power("network script", "allow_network_scripts")
_LISTED = Named("allowed_domain_networks", "network not listed", "network")


@dataclass(frozen=True, slots=True)
class _Network:
    """The name of a network; libvirt looks for no other mark of one."""

    def fault(self, text: str, around: DocumentContext) -> Fault | None:
        """Return the fault of a network that is not listed, or that is everybody's."""
        if (fault := _LISTED.fault(text, around)) is not None:
            return fault
        if text != DEFAULT_NETWORK or not around.profile.keeps_apart:
            return None
        message = shared_networks.refusal(text, own_networks(around.profile))
        return Fault(shared_networks.RULE, shared_networks.SETTING, message)


_NETWORK = _Network()

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
                "virtualport": denied(_BRIDGE, "ports of a switch are the host's"),
                "vlan": denied(_BRIDGE, "VLANs are the host's"),
                "script": denied(_SCRIPT, "the host would run a script"),
                "downscript": denied(_SCRIPT, "the host would run a script"),
                "filterref": denied(
                    Power("network filter", "allow_network_filters"),
                    "filters of packets are the host's",
                ),
                "bandwidth": denied(TUNING, "limits of a network are the host's"),
            }
        ),
        need=need,
    )


def _other(attributes: Mapping[str, ValueRule], need: Need, *, whole: bool = False) -> ElementRules:
    source = ElementRules(attributes=attributes, need=need, whole=whole, many=True)
    target = ElementRules(attributes={"dev": WORD, "managed": YES_NO})
    return _interface(source, target=target, need=need)


_OUTSIDE = Need(_BRIDGE, "the guest would be on another network than those of libvirt")
_DEVICE = Need(HOST_DEVICE, "the guest would get a network card of the host")

INTERFACE = Variants(
    forms={
        "network": _interface(_SOURCE),
        "bridge": _other({"bridge": WORD}, _OUTSIDE),
        "direct": _other({"dev": WORD, "mode": Words("vepa bridge private passthrough")}, _OUTSIDE),
        **{
            kind: _other({}, _OUTSIDE, whole=True)
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
