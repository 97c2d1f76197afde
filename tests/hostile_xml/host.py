"""A host for judgements that need no engine."""

from proad.model import DomainFacts

FACTS = DomainFacts(
    types=frozenset({"qemu", "kvm"}),
    emulators=frozenset({"/usr/bin/qemu-system-x86_64"}),
    firmware=frozenset({"/usr/share/OVMF/OVMF_CODE_4M.fd"}),
    variables=frozenset({"/usr/share/OVMF/OVMF_VARS_4M.fd"}),
    variables_dir="/var/lib/libvirt/qemu/nvram",
    pools={"/var/lib/libvirt/images": "default"},
    volumes={"/dev/vg/web": "vg"},
    media_dirs=("/srv",),
)
