"""Domains that need one setting of a profile each, and nothing else that is not allowed anyway."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hostile_xml.document import whole

FOLDER = "@FOLDER@"
"""Stands for a folder with what the documents name: see `integration.libvirt.needed_host`."""
_UUID = "6e1c4a3e-3b0e-4d57-9a1f-2f2a5a7f0c11"


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """A domain that needs one setting.

    Attributes:
        setting: the setting.
        rule: the rule that denies the domain.
        value: what the setting has to be; FOLDER is in it for the folder.
        xml: the document.
        strict: what the setting is where the domain is denied; None: its default.
        unstartable: why no host of the tests can start the domain; empty: it starts.
        typed: fields of a DomainSpec that need the setting as well.
        update: fields of a DomainSpec that need it in an update.
        volume: fields of a VolumeSpec that need it.
    """

    setting: str
    rule: str
    value: Any = True
    xml: str
    strict: Any = None
    unstartable: str = ""
    typed: Mapping[str, Any] = field(default_factory=dict)
    update: Mapping[str, Any] = field(default_factory=dict)
    volume: Mapping[str, Any] = field(default_factory=dict)


def _disk(source: str, *, type: str = "volume", more: str = "") -> str:
    return whole(
        f"<disk type='{type}' device='disk'><driver name='qemu' type='raw'/>{source}"
        f"<target dev='vda' bus='virtio'/>{more}</disk>"
    )


def _card(source: str, *, type: str = "network", more: str = "") -> str:
    return whole(f"<interface type='{type}'>{source}<model type='virtio'/>{more}</interface>")


_LAB = "<source network='lab'/>"
_IN_LAB = {"pool": "lab", "name": "new.raw", "capacity_bytes": 2**20}

NEEDS = (
    Need(
        setting="max_memory_bytes",
        rule="too much memory",
        strict=2**25,
        value=2**26,
        xml=whole(memory="<memory unit='MiB'>64</memory>"),
        typed={"memory_bytes": 2**26},
        update={"memory_bytes": 2**26},
    ),
    Need(
        setting="max_cpus",
        rule="too many CPUs",
        strict=1,
        value=2,
        xml=whole(vcpu="<vcpu>2</vcpu>"),
        typed={"vcpus": 2},
        update={"vcpus": 2},
    ),
    Need(
        setting="allowed_pools",
        rule="pool not listed",
        strict=("lab",),
        value=("lab", "other"),
        xml=_disk("<source pool='other' volume='disk.raw'/>"),
        typed={
            "diskless": False,
            "disks": [
                {"volume": {"pool": "other", "name": "disk.raw", "format": "DISK_FORMAT_RAW"}}
            ],
        },
        volume={**_IN_LAB, "pool": "other"},
    ),
    Need(
        setting="disk_roots",
        rule="disk file not listed",
        value=(FOLDER,),
        xml=_disk(f"<source file='{FOLDER}/disk.raw'/>", type="file"),
    ),
    Need(
        setting="allowed_domain_networks",
        rule="network not listed",
        strict=("lab",),
        value=("other",),
        xml=_card("<source network='other'/>"),
        typed={"networkless": False, "networks": [{"network": "other"}]},
    ),
    Need(
        setting="display_addresses",
        rule="display address not listed",
        value=("0.0.0.0/0",),
        xml=whole("<graphics type='vnc' listen='0.0.0.0'/>"),
    ),
    Need(
        setting="allow_display_passwords",
        rule="display password",
        xml=whole("<graphics type='vnc' listen='127.0.0.1' passwd='hunter2'/>"),
    ),
    Need(
        setting="allow_host_devices",
        rule="host device",
        xml=whole("<rng model='virtio'><backend model='random'>/dev/random</backend></rng>"),
    ),
    Need(
        setting="allow_shared_folders",
        rule="shared folder",
        xml=whole(
            f"<filesystem type='mount'><source dir='{FOLDER}'/><target dir='x'/></filesystem>"
        ),
    ),
    Need(
        setting="allow_shared_memory",
        rule="shared memory",
        xml=whole(more="<memoryBacking><nosharepages/></memoryBacking>"),
    ),
    Need(
        setting="allow_network_disks",
        rule="network disk",
        xml=_disk(
            "<source protocol='nbd' name=''><host name='127.0.0.1' port='10809'/></source>",
            type="network",
        ),
    ),
    Need(
        setting="allow_device_disks",
        rule="device disk",
        xml=_disk(f"<source dev='{FOLDER}/device'/>", type="block"),
    ),
    Need(
        setting="allow_backing_stores",
        rule="backing store",
        xml=_disk(
            "<source pool='lab' volume='disk.raw'>"
            "<slices><slice type='storage' offset='0' size='65536'/></slices></source>"
        ),
    ),
    Need(
        setting="allow_host_channels",
        rule="host channel",
        xml=whole("<serial type='null'><target port='0'/></serial>"),
    ),
    Need(
        setting="allow_bridges",
        rule="interface beside the networks",
        xml=_card("", type="user"),
    ),
    Need(
        setting="allow_network_scripts",
        rule="network script",
        xml=_card(_LAB, more="<script path='/bin/true'/>"),
        unstartable="QEMU's driver takes scripts on interfaces beside libvirt's networks alone",
    ),
    Need(
        setting="allow_network_filters",
        rule="network filter",
        xml=_card(_LAB, more="<filterref filter='lab'/>"),
    ),
    Need(
        setting="allow_pinning",
        rule="placement or tuning",
        xml=whole(vcpu="<vcpu cpuset='0'>1</vcpu>"),
    ),
    Need(
        setting="allow_security_labels",
        rule="security label",
        xml=whole(more="<seclabel type='none'/>"),
    ),
    Need(
        setting="allow_disk_secrets",
        rule="disk secret",
        xml=_disk(
            "<source pool='lab' volume='luks.raw'/>",
            more=f"<encryption format='luks'><secret type='passphrase' uuid='{_UUID}'/>"
            "</encryption>",
        ),
    ),
    Need(
        setting="allow_coredumps",
        rule="core dump",
        xml=whole(more="<on_crash>coredump-destroy</on_crash>"),
    ),
    Need(
        setting="allow_direct_boot",
        rule="direct boot",
        xml=whole(
            boot=f"<os><type arch='x86_64' machine='q35'>hvm</type><kernel>{FOLDER}/vmlinuz</kernel></os>"
        ),
    ),
    Need(
        setting="allowed_emulators",
        rule="emulator",
        value=(f"{FOLDER}/emulator",),
        xml=whole(f"<emulator>{FOLDER}/emulator</emulator>"),
    ),
    Need(
        setting="allow_emulator_arguments",
        rule="emulator arguments",
        xml=whole(
            more="<q:commandline xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'>"
            "<q:arg value='-msg'/><q:arg value='timestamp=on'/></q:commandline>"
        ),
    ),
)
"""One for each setting of domains."""
SECRET = _UUID
"""UUID of the secret that a document names."""
