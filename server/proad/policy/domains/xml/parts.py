"""What devices in domain XML have in common."""

from collections.abc import Mapping

from proad.policy.domains.xml.grammar import ElementRules, Power, Variants
from proad.policy.domains.xml.values import HEX, ON_OFF, Like, Number

HOST_DEVICE = Power("host device", "allow_host_devices")
HOST_CHANNEL = Power("host channel", "allow_host_channels")
SHARED_MEMORY = Power("shared memory", "allow_shared_memory")
TUNING = Power("placement or tuning", "allow_pinning")
SECRET = Power("disk secret", "allow_disk_secrets")
SECURITY_LABEL = Power("security label", "allow_security_labels")
COREDUMP = Power("core dump", "allow_coredumps")

ALIAS = ElementRules(attributes={"name": Like("[A-Za-z0-9._-]{1,128}", "a name of a device")})
ADDRESS = Variants(
    forms={
        "pci": ElementRules(
            attributes={
                **dict.fromkeys(("domain", "bus", "slot", "function"), HEX),
                "multifunction": ON_OFF,
            }
        ),
        "drive": ElementRules(
            attributes=dict.fromkeys(("controller", "bus", "target", "unit"), HEX)
        ),
        "usb": ElementRules(
            attributes={"bus": HEX, "port": Like(r"[0-9]{1,3}(\.[0-9]{1,3}){0,3}", "a port")}
        ),
        "virtio-serial": ElementRules(attributes=dict.fromkeys(("controller", "bus", "port"), HEX)),
        "ccid": ElementRules(attributes=dict.fromkeys(("controller", "slot"), HEX)),
        "isa": ElementRules(attributes=dict.fromkeys(("iobase", "irq"), HEX)),
        "virtio-mmio": ElementRules(),
        "unassigned": ElementRules(),
    }
)
BOOT = ElementRules(attributes={"order": Number(1, 65_535)})


def placed(
    children: Mapping[str, ElementRules | Variants] | None = None,
) -> Mapping[str, ElementRules | Variants]:
    """Return the children of a device with those that say where the guest has it."""
    return {"alias": ALIAS, "address": ADDRESS, **(children or {})}
