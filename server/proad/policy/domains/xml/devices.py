"""The allowlist of the devices in domain XML; disks, interfaces, channels in their own modules."""

from collections.abc import Mapping

from proad.policy.domains.xml.channels import CHANNELS
from proad.policy.domains.xml.disks import DISK
from proad.policy.domains.xml.grammar import ElementRules, Power, ValueRule, Variants, denied
from proad.policy.domains.xml.interfaces import INTERFACE
from proad.policy.domains.xml.parts import (
    COREDUMP,
    HOST_CHANNEL,
    HOST_DEVICE,
    SECRET,
    SHARED_MEMORY,
    placed,
)
from proad.policy.domains.xml.places import ListenAddress
from proad.policy.domains.xml.values import (
    HEX,
    ON_OFF,
    WORD,
    YES_NO,
    Like,
    Maybe,
    Number,
    Or,
    Prose,
    Words,
)

_CONTROLLER = ElementRules(
    attributes={
        "type": Words("pci usb ide fdc sata scsi virtio-serial ccid"),
        "index": Number(0, 65_535),
        "model": WORD,
        "ports": Number(1, 255),
        "vectors": Number(0, 65_535),
    },
    children=placed(
        {
            "model": ElementRules(attributes={"name": WORD}),
            "target": ElementRules(
                attributes={
                    **dict.fromkeys(("chassisNr", "chassis", "port", "busNr", "index"), HEX),
                    "hotplug": ON_OFF,
                }
            ),
            "master": ElementRules(attributes={"startport": Number(0, 255)}),
            "pcihole64": ElementRules(attributes={"unit": WORD}, text=Number(0, 2**40)),
        }
    ),
    many=True,
)

_INPUT = Variants(
    forms={
        **dict.fromkeys(
            ("tablet", "mouse", "keyboard"),
            ElementRules(
                attributes={
                    "bus": Words("usb virtio ps2"),
                    "model": Words("virtio virtio-transitional virtio-non-transitional"),
                },
                children=placed(),
            ),
        ),
        **dict.fromkeys(
            ("passthrough", "evdev"),
            denied(HOST_DEVICE, "the guest would read an input device of the host"),
        ),
    },
    many=True,
)

_PASSWORD = Or(
    wider=Prose(255),
    power=Power("display password", "allow_display_passwords"),
    message="XML is no place for the password of a screen",
)
_LISTEN = Variants(
    forms={
        "none": ElementRules(),
        "address": ElementRules(attributes={"address": ListenAddress()}),
    },
    rule="display address not listed",
    many=True,
)
_PORT = Like(r"-1|[1-9][0-9]{3,4}", "a port")
_RENDERER = ElementRules(
    attributes={
        "enable": YES_NO,
        "rendernode": Or(
            wider=Prose(255),
            power=HOST_DEVICE,
            message="the guest would draw with a GPU of the host",
        ),
    }
)


def _screen(
    attributes: Mapping[str, ValueRule], children: Mapping[str, ElementRules | Variants]
) -> ElementRules:
    return ElementRules(
        attributes={
            "port": _PORT,
            "autoport": YES_NO,
            "listen": Maybe(ListenAddress()),
            "keymap": Like("[a-z]{2}(-[a-z]{2})?", "a keyboard"),
            **dict.fromkeys(("passwd", "passwdValidTo", "connected"), _PASSWORD),
            **attributes,
        },
        children={"listen": _LISTEN, **children},
    )


_GRAPHICS = Variants(
    forms={
        "vnc": _screen({"sharePolicy": Words("allow-exclusive force-shared ignore")}, {}),
        "spice": _screen(
            {"tlsPort": _PORT, "defaultMode": Words("any secure insecure")},
            {
                "channel": ElementRules(
                    attributes={"name": WORD, "mode": Words("any secure insecure")}, many=True
                ),
                "image": ElementRules(attributes={"compression": WORD}),
                "jpeg": ElementRules(attributes={"compression": WORD}),
                "zlib": ElementRules(attributes={"compression": WORD}),
                "playback": ElementRules(attributes={"compression": ON_OFF}),
                "streaming": ElementRules(attributes={"mode": Words("filter all off")}),
                "mouse": ElementRules(attributes={"mode": Words("client server")}),
                "clipboard": ElementRules(attributes={"copypaste": YES_NO}),
                "filetransfer": ElementRules(attributes={"enable": YES_NO}),
                "gl": _RENDERER,
            },
        ),
    },
    rule="screen not listed",
    many=True,
)

_VIDEO = ElementRules(
    children=placed(
        {
            "model": ElementRules(
                attributes={
                    "type": Words("vga cirrus qxl virtio bochs ramfb none"),
                    **dict.fromkeys(("ram", "vram", "vram64", "vgamem"), Number(0, 2**21)),
                    "heads": Number(1, 16),
                    "primary": YES_NO,
                },
                children={
                    "acceleration": ElementRules(
                        attributes=dict.fromkeys(
                            ("accel2d", "accel3d"),
                            Or(
                                value=Words("no"),
                                wider=YES_NO,
                                power=HOST_DEVICE,
                                message="the guest would draw with a GPU of the host",
                            ),
                        )
                    ),
                    "resolution": ElementRules(attributes=dict.fromkeys("xy", Number(1, 16_384))),
                },
            )
        }
    ),
    many=True,
)

_TPM = ElementRules(
    attributes={"model": Words("tpm-tis tpm-crb tpm-spapr")},
    children=placed(
        {
            "backend": Variants(
                forms={
                    "emulator": ElementRules(
                        attributes={"version": Words("1.2 2.0"), "persistent_state": YES_NO},
                        children={
                            "encryption": denied(SECRET, "secrets of libvirt are the host's"),
                            "active_pcr_banks": ElementRules(
                                children=dict.fromkeys(
                                    ("sha1", "sha256", "sha384", "sha512"), ElementRules()
                                )
                            ),
                        },
                    ),
                    "passthrough": denied(HOST_DEVICE, "the guest would get the TPM of the host"),
                    "external": denied(
                        HOST_CHANNEL, "the guest would be connected with a socket of the host"
                    ),
                }
            )
        }
    ),
)

_RNG = ElementRules(
    attributes={"model": Words("virtio virtio-transitional virtio-non-transitional")},
    children=placed(
        {
            "backend": Variants(
                by="model",
                forms={
                    "random": ElementRules(
                        text=Or(
                            value=Words("/dev/urandom"),
                            wider=Words("/dev/random /dev/hwrng"),
                            power=HOST_DEVICE,
                            message="the guest would read another device than /dev/urandom",
                        )
                    ),
                    "egd": denied(
                        HOST_CHANNEL, "the guest would be connected with a socket of the host"
                    ),
                },
            ),
            "rate": ElementRules(attributes=dict.fromkeys(("bytes", "period"), Number(1))),
        }
    ),
    many=True,
)

_WATCHDOG = ElementRules(
    attributes={
        "model": Words("i6300esb ib700 itco diag288"),
        "action": Or(
            value=Words("reset shutdown poweroff pause none inject-nmi"),
            wider=Words("reset shutdown poweroff pause none inject-nmi dump"),
            power=COREDUMP,
            message="a core dump on the host would hold the guest's memory",
        ),
    },
    children=placed(),
    many=True,
)

DEVICES: Mapping[str, ElementRules | Variants] = {
    "disk": DISK,
    "interface": INTERFACE,
    "controller": _CONTROLLER,
    "input": _INPUT,
    "graphics": _GRAPHICS,
    "video": _VIDEO,
    "sound": ElementRules(
        attributes={"model": Words("ich6 ich9 ac97 es1370 sb16 usb pcspk virtio")},
        children=placed(
            {
                "codec": ElementRules(attributes={"type": Words("duplex micro output")}, many=True),
                "audio": ElementRules(attributes={"id": Number(1, 65_535)}),
            }
        ),
        many=True,
    ),
    "audio": ElementRules(
        attributes={"id": Number(1, 65_535), "type": Words("none spice")}, many=True
    ),
    "memballoon": ElementRules(
        attributes={
            "model": Words("virtio virtio-transitional virtio-non-transitional none"),
            "autodeflate": ON_OFF,
            "freePageReporting": ON_OFF,
        },
        children=placed({"stats": ElementRules(attributes={"period": Number(0, 86_400)})}),
    ),
    "panic": ElementRules(
        attributes={"model": Words("isa pseries hyperv s390 pvpanic")},
        children=placed(),
        many=True,
    ),
    "watchdog": _WATCHDOG,
    "rng": _RNG,
    "tpm": _TPM,
    **CHANNELS,
    "hostdev": denied(HOST_DEVICE, "the guest would get a device of the host"),
    "filesystem": denied(
        Power("shared folder", "allow_shared_folders"), "the guest would get a folder of the host"
    ),
    "shmem": denied(SHARED_MEMORY, "the guest would share memory with the host"),
    "memory": denied(SHARED_MEMORY, "memory would be of files or pages of the host"),
    "vsock": denied(HOST_CHANNEL, "the guest would be connected with the host"),
}
"""The allowed children of `<devices>` except for the emulator."""
