"""The allowlist of domain XML, without its devices."""

from collections.abc import Mapping

from proad.policy.domains.xml.devices import DEVICES
from proad.policy.domains.xml.grammar import ElementRules, Power, Variants, denied
from proad.policy.domains.xml.parts import COREDUMP, SECURITY_LABEL, SHARED_MEMORY, TUNING
from proad.policy.domains.xml.places import (
    Cpus,
    DomainType,
    Emulator,
    FirmwareFile,
    Memory,
    VariablesFile,
)
from proad.policy.domains.xml.values import (
    ON_OFF,
    UUID,
    WORD,
    YES_NO,
    Dropped,
    Like,
    Maybe,
    Number,
    Or,
    Prose,
    Words,
)

LIBOSINFO = "http://libosinfo.org/xmlns/libvirt/domain/1.0"
PROA = "urn:proa:domain:1"
NAMESPACE_OF_MEMORY_DRIVER = "urn:proa:memory"
QEMU = "http://libvirt.org/schemas/domain/qemu/1.0"

_BOOT = Power("direct boot", "allow_direct_boot")
_PLACED = "the guest would be placed on CPUs of the host"
_COREDUMP = "a core dump on the host would hold the guest's memory"
_ARGUMENTS = Power("emulator arguments", "allow_emulator_arguments")

_STATE = ElementRules(attributes={"state": ON_OFF})
_ENABLED = ElementRules(attributes={"enabled": YES_NO})


def _memory() -> ElementRules:
    return ElementRules(
        attributes={
            "unit": WORD,
            "dumpCore": Or(
                value=Words("off"),
                wider=ON_OFF,
                power=COREDUMP,
                message=_COREDUMP,
            ),
        },
        text=Prose(20),
        checks=(Memory(),),
    )


# What other tools and Proa note in a domain; nothing decides on it.
_METADATA = ElementRules(
    children={
        f"{{{LIBOSINFO}}}libosinfo": ElementRules(
            children={
                f"{{{LIBOSINFO}}}os": ElementRules(
                    attributes={
                        "id": Like(r"https?://[A-Za-z0-9./_-]{1,200}", "a name of a system")
                    }
                )
            }
        ),
        f"{{{PROA}}}domain": ElementRules(
            attributes={"create_time": Prose(64)},
            children={
                f"{{{PROA}}}label": ElementRules(
                    attributes={"key": Prose(), "value": Prose()}, many=True
                )
            },
        ),
        f"{{{NAMESPACE_OF_MEMORY_DRIVER}}}label": ElementRules(
            attributes={"key": Prose(), "value": Prose()}, many=True
        ),
    }
)

_OS = ElementRules(
    attributes={"firmware": Words("efi bios")},
    children={
        "type": ElementRules(attributes={"arch": WORD, "machine": WORD}, text=Words("hvm")),
        "firmware": ElementRules(
            children={
                "feature": ElementRules(
                    attributes={
                        "enabled": YES_NO,
                        "name": Words("secure-boot enrolled-keys"),
                    },
                    many=True,
                )
            }
        ),
        "loader": ElementRules(
            attributes={
                "readonly": Words("yes"),
                "secure": YES_NO,
                "type": Words("pflash rom"),
                "stateless": YES_NO,
                "format": Words("raw qcow2"),
            },
            text=Maybe(FirmwareFile()),
        ),
        "nvram": ElementRules(
            attributes={
                "template": FirmwareFile(templates=True),
                "templateFormat": Words("raw qcow2"),
                "format": Words("raw qcow2"),
            },
            text=Dropped(Maybe(VariablesFile())),
        ),
        "boot": ElementRules(attributes={"dev": Words("hd cdrom network")}, many=True),
        "bootmenu": ElementRules(attributes={"enable": YES_NO, "timeout": Number(0, 65_535)}),
        "bios": ElementRules(attributes={"useserial": YES_NO, "rebootTimeout": Number(0, 65_535)}),
        "kernel": denied(_BOOT, "a kernel of the host would be booted"),
        "initrd": denied(_BOOT, "a file of the host would be booted"),
        "cmdline": denied(_BOOT, "only a kernel of the host needs that"),
        "dtb": denied(_BOOT, "a file of the host would be loaded"),
        "shim": denied(_BOOT, "a file of the host would be loaded"),
        "acpi": denied(_BOOT, "a table from the host would be loaded"),
    },
)

_HYPERV = ElementRules(
    attributes={"mode": Words("custom passthrough")},
    children={
        **dict.fromkeys(
            (
                *("relaxed", "vapic", "vpindex", "runtime", "synic", "reset", "frequencies"),
                *("reenlightenment", "tlbflush", "ipi", "evmcs", "avic", "emsr_bitmap"),
                "xmm_input",
            ),
            _STATE,
        ),
        "spinlocks": ElementRules(attributes={"state": ON_OFF, "retries": Number(4095, 2**32 - 1)}),
        "stimer": ElementRules(attributes={"state": ON_OFF}, children={"direct": _STATE}),
        "vendor_id": ElementRules(
            attributes={"state": ON_OFF, "value": Like("[A-Za-z0-9 _.-]{1,12}", "a short word")}
        ),
    },
)

_FEATURES = ElementRules(
    children={
        "acpi": ElementRules(),
        "apic": ElementRules(attributes={"eoi": ON_OFF}),
        "pae": ElementRules(),
        "hyperv": _HYPERV,
        "vmport": _STATE,
        "smm": ElementRules(
            attributes={"state": ON_OFF},
            children={"tseg": ElementRules(attributes={"unit": WORD}, text=Number(1, 2**40))},
        ),
        "ioapic": ElementRules(attributes={"driver": Words("qemu kvm")}),
        "gic": ElementRules(attributes={"version": Words("2 3 host")}),
    }
)

_CPU = ElementRules(
    attributes={
        "mode": Words("custom host-model host-passthrough maximum"),
        "match": Words("exact minimum strict"),
        "check": Words("none partial full"),
        "migratable": ON_OFF,
    },
    children={
        "model": ElementRules(
            attributes={
                "fallback": Words("allow forbid"),
                "vendor_id": Like("[A-Za-z0-9 ]{12}", "twelve letters"),
            },
            text=WORD,
        ),
        "vendor": ElementRules(text=WORD),
        "topology": ElementRules(
            attributes={
                name: Number(1, 65_535)
                for name in ("sockets", "dies", "clusters", "cores", "threads")
            }
        ),
        "feature": ElementRules(
            attributes={
                "policy": Words("force require optional disable forbid"),
                "name": WORD,
            },
            many=True,
        ),
        "numa": denied(TUNING, "nodes of NUMA are placed on those of the host"),
    },
)

_CLOCK = ElementRules(
    attributes={"offset": Words("utc localtime")},
    children={
        "timer": ElementRules(
            attributes={
                "name": Words("platform rtc pit hpet tsc kvmclock hypervclock armvtimer"),
                "present": YES_NO,
                "tickpolicy": Words("delay catchup merge discard"),
                "track": Words("boot guest wall realtime"),
            },
            many=True,
        )
    },
)


def _action(words: str) -> ElementRules:
    """Return an element of what libvirt does when the guest ends."""
    return ElementRules(
        text=Or(
            value=Words(words),
            wider=Words(f"{words} coredump-destroy coredump-restart"),
            power=COREDUMP,
            message=_COREDUMP,
        )
    )


_SECURITY_LABEL = Variants(
    forms={
        # What libvirt chose for the domain, and chooses again.
        "dynamic": ElementRules(
            attributes={"model": WORD, "relabel": Words("yes")},
            children={
                "label": ElementRules(text=Prose(4096)),
                "imagelabel": ElementRules(text=Prose(4096)),
                "baselabel": denied(SECURITY_LABEL, "a label of the caller's own"),
            },
            dropped=True,
        ),
        **{
            kind: denied(SECURITY_LABEL, "the guest would run under another label than libvirt's")
            for kind in ("static", "none")
        },
    },
    rule=SECURITY_LABEL.rule,
    many=True,
)


def _arguments(name: str) -> tuple[str, ElementRules]:
    rules = denied(_ARGUMENTS, "the emulator would get arguments of the caller")
    return f"{{{QEMU}}}{name}", rules


_CHILDREN: Mapping[str, ElementRules | Variants] = {
    "name": ElementRules(text=Prose(255)),
    "uuid": ElementRules(text=UUID),
    "title": ElementRules(text=Prose()),
    "description": ElementRules(text=Prose()),
    "metadata": _METADATA,
    "memory": _memory(),
    "currentMemory": _memory(),
    "vcpu": ElementRules(
        attributes={
            "placement": Words("static"),
            "current": Cpus(),
            "cpuset": Or(
                wider=Like(r"[0-9,^-]{1,4096}", "a set of CPUs"),
                power=TUNING,
                message=_PLACED,
            ),
        },
        text=Cpus(),
    ),
    "resource": ElementRules(
        children={"partition": ElementRules(text=Words("/machine"))}, dropped=True
    ),
    "os": _OS,
    "features": _FEATURES,
    "cpu": _CPU,
    "clock": _CLOCK,
    "pm": ElementRules(children={"suspend-to-mem": _ENABLED, "suspend-to-disk": _ENABLED}),
    "on_poweroff": _action("destroy restart preserve"),
    "on_reboot": _action("destroy restart preserve"),
    "on_crash": _action("destroy restart preserve"),
    "devices": ElementRules(
        children={"emulator": ElementRules(text=Emulator(), dropped=True), **DEVICES}
    ),
    "seclabel": _SECURITY_LABEL,
    "memoryBacking": denied(SHARED_MEMORY, "memory would be of files or pages of the host"),
    "cputune": denied(TUNING, _PLACED),
    "numatune": denied(TUNING, "the guest would be placed on NUMA nodes of the host"),
    "memtune": denied(TUNING, "limits of memory are the host's"),
    "blkiotune": denied(TUNING, "weights of block devices are the host's"),
    "iothreads": denied(TUNING, "threads are the host's"),
    "iothreadids": denied(TUNING, "threads are the host's"),
    **dict(map(_arguments, ("commandline", "capabilities", "override", "deprecation"))),
}

DOMAIN = ElementRules(
    attributes={"type": DomainType(), "id": Dropped(Number(0, 2**31 - 1))}, children=_CHILDREN
)
"""The allowed `<domain>`."""
