"""Hostile parts of a domain beside its devices."""

from collections.abc import Iterator

from hostile_xml.document import Hostile, in_domain, whole

_PARTS = {
    ("placement or tuning", "allow_pinning"): [
        "<cputune><vcpupin vcpu='0' cpuset='0'/></cputune>",
        "<cputune><emulatorpin cpuset='0-1'/></cputune>",
        "<cputune><shares>262144</shares></cputune>",
        "<cputune><vcpusched vcpus='0' scheduler='fifo' priority='99'/></cputune>",
        "<numatune><memory mode='strict' nodeset='0'/></numatune>",
        "<memtune><hard_limit unit='G'>64</hard_limit></memtune>",
        "<blkiotune><weight>1000</weight></blkiotune>",
        "<blkiotune><device><path>/dev/sda</path><weight>1000</weight></device></blkiotune>",
        "<iothreads>64</iothreads>",
        "<iothreadids><iothread id='1'/></iothreadids>",
        "<cpu mode='maximum'><numa><cell id='0' cpus='0' memory='1' unit='G'/></numa></cpu>",
    ],
    ("shared memory", "allow_shared_memory"): [
        "<memoryBacking><hugepages/></memoryBacking>",
        "<memoryBacking><source type='file'/><access mode='shared'/></memoryBacking>",
        "<memoryBacking><source type='memfd'/></memoryBacking>",
        "<memoryBacking><locked/></memoryBacking>",
        "<memoryBacking><nosharepages/></memoryBacking>",
    ],
    ("core dump", "allow_coredumps"): [
        "<on_crash>coredump-destroy</on_crash>",
        "<on_crash>coredump-restart</on_crash>",
    ],
    ("security label", "allow_security_labels"): [
        "<seclabel type='none'/>",
        "<seclabel type='none' model='dac'/>",
        "<seclabel type='static' model='dac' relabel='no'><label>root:root</label></seclabel>",
        "<seclabel type='static' model='dac'><label>+0:+0</label></seclabel>",
        "<seclabel type='static' model='apparmor'><label>unconfined</label></seclabel>",
        "<seclabel type='dynamic' model='selinux'><baselabel>x:y:z:s0</baselabel></seclabel>",
        "<seclabel type='dynamic'/><seclabel type='none' model='dac'/>",
    ],
    ("element not listed", ""): [
        "<sysinfo type='fwcfg'><entry name='opt/x' file='/etc/shadow'/></sysinfo>",
        "<sysinfo type='smbios'><bios><entry name='vendor'>x</entry></bios></sysinfo>",
        "<bootloader>/usr/bin/pygrub</bootloader>",
        "<bootloader_args>-x</bootloader_args>",
        "<idmap><uid start='0' target='0' count='1'/></idmap>",
        "<launchSecurity type='sev'><policy>0x1</policy></launchSecurity>",
        "<keywrap><cipher name='aes' state='on'/></keywrap>",
        "<maxMemory slots='16' unit='G'>64</maxMemory>",
        "<perf><event name='cmt' enabled='yes'/></perf>",
        "<on_lockfailure>ignore</on_lockfailure>",
        "<vcpus><vcpu id='0' enabled='yes' hotpluggable='no'/></vcpus>",
        "<throttlegroups><throttlegroup/></throttlegroups>",
        "<genid/>",
        "<commandline><arg value='-drive'/></commandline>",
        "<Devices><hostdev/></Devices>",
        "<DEVICES/>",
        "<hostdev mode='subsystem' type='pci'/>",
        "<disk type='file'/>",
        "<emulator>/tmp/evil</emulator>",
        "<domain type='qemu'><name>inner</name></domain>",
        "<features><kvm><hidden state='on'/></kvm></features>",
        "<features><msrs unknown='ignore'/></features>",
        "<features><privnet/></features>",
        "<features><capabilities policy='allow'/></features>",
        "<features><tcg><tb-cache>1</tb-cache></tcg></features>",
        "<features><async-teardown enabled='yes'/></features>",
        "<cpu mode='maximum'><cache mode='passthrough'/></cpu>",
        "<cpu mode='maximum'><maxphysaddr mode='passthrough'/></cpu>",
        "<pm><suspend-to-nowhere enabled='yes'/></pm>",
        "<clock offset='utc'><timer name='tsc'><catchup/></timer></clock>",
        "<resource><partition>/machine</partition><fibrechannel appid='x'/></resource>",
    ],
    ("attribute not listed", ""): [
        "<clock offset='utc' adjustment='3600'/>",
        "<clock offset='utc' basis='utc'/>",
        "<clock offset='utc' start='1'/>",
        "<title onload='x'>t</title>",
        "<features><acpi table='/x'/></features>",
        "<features><hyperv><relaxed state='on' retries='1'/></hyperv></features>",
        "<pm enabled='yes'/>",
    ],
    ("value not listed", ""): [
        "<on_crash>preserve-and-run</on_crash>",
        "<on_crash>COREDUMP-DESTROY</on_crash>",
        "<on_crash> coredump-destroy</on_crash>",
        "<on_poweroff>rename-restart</on_poweroff>",
        "<on_poweroff>coredump</on_poweroff>",
        "<clock offset='timezone' timezone='../../etc/passwd'/>",
        "<clock offset='variable'/>",
        "<clock offset='absolute'/>",
        "<clock offset='UTC'/>",
        "<clock offset='utc'><timer name='rtc' tickpolicy='-rtc base=x'/></clock>",
        "<cpu mode='custom'><model>-cpu,host</model></cpu>",
        "<cpu mode='custom'><model>qemu64,+vmx</model></cpu>",
        "<cpu mode='host-evil'/>",
        "<cpu mode='custom'><feature policy='require' name='vmx,foo'/></cpu>",
        "<cpu mode='custom'><model vendor_id='a,b=c'>qemu64</model></cpu>",
        "<cpu mode='maximum'><topology sockets='1' cores='99999999' threads='1'/></cpu>",
        "<features><hyperv mode='own'/></features>",
        "<features><hyperv><vendor_id state='on' value='a,b'/></hyperv></features>",
        "<features><hyperv><spinlocks state='on' retries='-1'/></hyperv></features>",
        "<features><ioapic driver='host'/></features>",
        "<features><smm state='maybe'/></features>",
        "<resource><partition>/system.slice</partition></resource>",
        "<resource><partition>/machine/../../x</partition></resource>",
        (
            "<metadata><l:libosinfo xmlns:l='http://libosinfo.org/xmlns/libvirt/domain/1.0'>"
            "<l:os id='file:///etc/passwd'/></l:libosinfo></metadata>"
        ),
    ],
    ("repeated element", ""): [
        "<title>a</title><title>b</title>",
        "<devices/>",
        "<memory>1024</memory>",
        "<vcpu>64</vcpu>",
        "<os><type>hvm</type></os>",
        "<features/><features/>",
        "<cpu/><cpu/>",
        "<features><acpi/><acpi/></features>",
        "<metadata/><metadata/>",
    ],
    ("text not listed", ""): [
        "<features><acpi>yes</acpi></features>",
        "<clock offset='utc'>x</clock>",
        "<pm><suspend-to-mem enabled='yes'>x</suspend-to-mem></pm>",
    ],
}

_BOOTS = {
    ("direct boot", "allow_direct_boot"): [
        "<type>hvm</type><kernel>/etc/shadow</kernel>",
        "<type>hvm</type><initrd>/etc/shadow</initrd>",
        "<type>hvm</type><cmdline>init=/bin/sh</cmdline>",
        "<type>hvm</type><dtb>/etc/shadow</dtb>",
        "<type>hvm</type><shim>/etc/shadow</shim>",
        "<type>hvm</type><acpi><table type='slic'>/etc/shadow</table></acpi>",
    ],
    ("firmware not listed", "allow_direct_boot"): [
        "<type>hvm</type><loader>/tmp/evil.fd</loader>",
        "<type>hvm</type><loader readonly='yes' type='pflash'>/etc/shadow</loader>",
        "<type>hvm</type><nvram template='/etc/shadow'/>",
    ],
    ("UEFI variables", "allow_direct_boot"): [
        "<type>hvm</type><nvram>/etc/shadow</nvram>",
        "<type>hvm</type><nvram>/var/lib/libvirt/qemu/nvram/other_VARS.fd</nvram>",
        "<type>hvm</type><nvram>/var/lib/libvirt/qemu/nvram/_VARS.fd</nvram>",
    ],
    ("element not listed", ""): [
        "<type>hvm</type><smbios mode='sysinfo'/>",
        "<type>hvm</type><init>/bin/sh</init>",
        "<type>hvm</type><initarg>-c</initarg>",
        "<type>hvm</type><initenv name='LD_PRELOAD'>/x</initenv>",
        "<type>hvm</type><initdir>/etc</initdir>",
        "<type>hvm</type><inituser>root</inituser>",
        "<type>hvm</type><bootloader>/x</bootloader>",
    ],
    ("value not listed", ""): [
        "<type>hvm</type><loader type='rom'>/usr/share/OVMF/../../../etc/shadow</loader>",
        "<type>hvm</type><loader> /usr/share/OVMF/OVMF_CODE_4M.fd</loader>",
        "<type>hvm</type><nvram>/var/lib/libvirt/qemu/nvram/../../x_VARS.fd</nvram>",
        "<type>hvm</type><nvram>relative_VARS.fd</nvram>",
        "<type>exe</type>",
        "<type>xen</type>",
        "<type>linux</type>",
        "<type>HVM</type>",
        "<type arch='x86_64,foo'>hvm</type>",
        "<type machine='-machine q35'>hvm</type>",
        "<type machine='q35,dumpdtb=/tmp/x'>hvm</type>",
        "<type>hvm</type><boot dev='fd'/>",
        "<type>hvm</type><loader readonly='no'/>",
        "<type>hvm</type><bootmenu enable='yes' timeout='99999999999999999999'/>",
    ],
}
_TYPES = (
    *("xen", "lxc", "kqemu", "hvf", "bhyve", "vz", "vmware", "openvz", "test-not", "QEMU"),
    *("", " qemu", "qemu ", "kvm,foo"),
)


def hostile() -> Iterator[Hostile]:
    """Yield the documents."""
    yield from in_domain("domain", _PARTS)
    for (rule, setting), fragments in _BOOTS.items():
        for number, fragment in enumerate(fragments):
            id = f"boot-{rule.replace(' ', '-')}-{number}"
            yield Hostile(id, whole(boot=f"<os>{fragment}</os>"), rule, setting)
    for type in _TYPES:
        yield Hostile(
            f"type-{type.replace(' ', '_')}",
            whole(type=f"type='{type}'"),
            "value not listed",
        )
    yield Hostile(
        "vcpu-cpuset",
        whole(vcpu="<vcpu cpuset='0'>1</vcpu>"),
        "placement or tuning",
        "allow_pinning",
    )
    yield Hostile(
        "memory-dump",
        whole(memory="<memory dumpCore='on'>32768</memory>"),
        "core dump",
        "allow_coredumps",
    )
    yield Hostile(
        "os-firmware",
        whole(boot="<os firmware='uefi'><type>hvm</type></os>"),
        "value not listed",
    )
