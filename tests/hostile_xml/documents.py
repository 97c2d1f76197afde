"""Documents that two readers could read differently, or that are too much for one."""

from collections.abc import Iterator

from hostile_xml.document import NAME, Hostile, whole

_NAME = f"<name>{NAME}</name>"
_DOCTYPE = "<!DOCTYPE domain [{}]>"
_BOMB = "".join(
    f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>" if n else "<!ENTITY a0 'x'>" for n in range(12)
)
_QEMU = "http://libvirt.org/schemas/domain/qemu/1.0"
_ATTRIBUTES = " ".join(f"a{n}=''" for n in range(21_000))
_HOSTDEV = "<hostdev mode='subsystem' type='pci'><source/></hostdev>"

# No domain XML at all: not well-formed, with parts that readers join or ignore, or too large.
_NONE = {
    "empty": " ",
    "text": "domain",
    "json": '{"domain": {}}',
    "torn": "<domain><name>x</name",
    "two-roots": whole() + whole(),
    "after-the-root": whole() + "x",
    "other-root": "<network><name>x</name></network>",
    "snapshot": f"<domainsnapshot>{whole()}</domainsnapshot>",
    "upper-case-root": whole().replace("domain", "DOMAIN"),
    "root-in-a-namespace": whole(type="xmlns='urn:x' type='qemu'"),
    "root-with-a-prefix": f"<x:domain xmlns:x='urn:x'>{_NAME}</x:domain>",
    "doctype": _DOCTYPE.format("") + whole(),
    "doctype-external": "<!DOCTYPE domain SYSTEM 'file:///etc/passwd'>" + whole(),
    "entity-bomb": _DOCTYPE.format(_BOMB) + whole(more="<title>&a11;</title>"),
    "entity-of-a-file": _DOCTYPE.format("<!ENTITY x SYSTEM 'file:///etc/passwd'>")
    + whole(more="<description>&x;</description>"),
    "entity-of-a-url": _DOCTYPE.format("<!ENTITY x SYSTEM 'http://127.0.0.1:1/'>")
    + whole(more="<description>&x;</description>"),
    "entity-of-parameters": _DOCTYPE.format("<!ENTITY % x SYSTEM 'file:///etc/passwd'> %x;")
    + whole(),
    "entity-in-an-attribute": _DOCTYPE.format("<!ENTITY x 'qemu'>") + whole(type="type='&x;'"),
    "attribute-by-doctype": _DOCTYPE.format("<!ATTLIST domain type CDATA 'xen'>") + whole(),
    "entity-unknown": whole(more="<title>&nbsp;</title>"),
    "comment-before": "<!-- x -->" + whole(),
    "comment-after": whole() + "<!-- x -->",
    "comment-in-the-name": whole(name=f"<name>{NAME}<!-- -->x</name>"),
    "comment-in-a-path": whole(
        "<disk type='file'><driver type='raw'/><source file='/a'/><!-- --><target dev='vda'/></disk>",
    ),
    "instruction-before": "<?x y?>" + whole(),
    "instruction-in-the-name": whole(name=f"<name>{NAME}<?x?>x</name>"),
    "instruction-style": "<?xml-stylesheet href='file:///etc/passwd'?>" + whole(),
    "utf16-declared-in-bytes": "\ufeff\ufeff" + whole(),
    "surrogate": whole(more="<title>\ud800</title>"),
    "nul": whole(more="<title>\0</title>"),
    "control": whole(more="<title>&#1;</title>"),
    "no-character": whole(more="<title>\uffff</title>"),
    "name-missing": whole(name=""),
    "name-empty": whole(name="<name/>"),
    "name-blank": whole(name="<name> \n</name>"),
    "name-twice": whole(name=_NAME * 2),
    "name-nested": whole(name=f"<name>{NAME}<b>x</b></name>"),
    "name-with-a-slash": whole(name="<name>../../x</name>"),
    "name-with-a-dash-first": whole(name="<name>-drive</name>"),
    "name-with-a-blank": whole(name="<name>a b</name>"),
    "name-with-a-newline": whole(name="<name>a&#10;b</name>"),
    "name-too-long": whole(name=f"<name>{'x' * 300}</name>"),
    "uuid-twice": whole(more="<uuid>6e1c4a3e-3b0e-4d57-9a1f-2f2a5a7f0c11</uuid>" * 2),
    "uuid-none": whole(more="<uuid>1</uuid>"),
    "uuid-nested": whole(more="<uuid><a/>6e1c4a3e-3b0e-4d57-9a1f-2f2a5a7f0c11</uuid>"),
    "text-between": whole(more="stray"),
    "cdata-between": whole(more="<![CDATA[stray]]>"),
    "cdata-unclosed": whole(more="<title><![CDATA[x</title>"),
    "attribute-twice": whole(type="type='qemu' type='kvm'"),
    "prefix-unbound": whole(more="<qemu:commandline/>"),
    "deep": whole(more="<a>" * 100 + "</a>" * 100),
    "very-deep": whole(more="<a>" * 5000 + "</a>" * 5000),
    "many-elements": whole("<input type='mouse'/>" * 21_000),
    "many-attributes": whole(f"<input {_ATTRIBUTES}/>"),
}

# Well-formed, with parts in namespaces, which the list has none of.
_FOREIGN = {
    "include": "<xi:include xmlns:xi='http://www.w3.org/2001/XInclude' href='/etc/passwd' "
    "parse='text'/>",
    "own-prefix": "<proa:domain xmlns:proa='urn:proa:domain:1'/>",
    "lxc": "<lxc:namespace xmlns:lxc='http://libvirt.org/schemas/domain/lxc/1.0'/>",
    "xen": "<xen:commandline xmlns:xen='http://libvirt.org/schemas/domain/xen/1.0'/>",
    "bhyve": "<b:commandline xmlns:b='http://libvirt.org/schemas/domain/bhyve/1.0'/>",
    "default-namespace": "<description xmlns='urn:x'>x</description>",
    "qemu-unknown": f"<q:other xmlns:q='{_QEMU}'/>",
    "qemu-in-capitals": f"<q:commandline xmlns:q='{_QEMU.upper()}'/>",
    "language": "<title xml:lang='en'>x</title>",
    "base": "<description xml:base='file:///etc/'>x</description>",
    "space": "<title xml:space='preserve'> x </title>",
    "link": "<title xmlns:l='http://www.w3.org/1999/xlink' l:href='file:///x'>x</title>",
    "metadata": "<metadata><x:a xmlns:x='urn:x'>x</x:a></metadata>",
    "metadata-of-others": "<metadata><n:instance xmlns:n='http://openstack.org/xmlns/libvirt/"
    "nova/1.1'><n:name>x</n:name></n:instance></metadata>",
    "metadata-include": "<metadata><xi:include xmlns:xi='http://www.w3.org/2001/XInclude' "
    "href='/etc/passwd'/></metadata>",
    "features-with-a-prefix": "<features><x:acpi xmlns:x='urn:x'/></features>",
}

# Arguments for the emulator, under any prefix and anywhere.
_ARGUMENTS = {
    "usual": f"<qemu:commandline xmlns:qemu='{_QEMU}'><qemu:arg value='-device'/>"
    "</qemu:commandline>",
    "other-prefix": f"<a:commandline xmlns:a='{_QEMU}'><a:arg value='-drive'/></a:commandline>",
    "default-prefix": f"<commandline xmlns='{_QEMU}'><arg value='-chardev'/></commandline>",
    "environment": f"<q:commandline xmlns:q='{_QEMU}'><q:env name='LD_PRELOAD' value='/tmp/x.so'/>"
    "</q:commandline>",
    "capabilities": f"<q:capabilities xmlns:q='{_QEMU}'><q:del capability='x'/></q:capabilities>",
    "override": f"<q:override xmlns:q='{_QEMU}'><q:device alias='ua-x'/></q:override>",
    "deprecation": f"<q:deprecation xmlns:q='{_QEMU}' behavior='omit'/>",
    "twice": f"<q:commandline xmlns:q='{_QEMU}'/><q:commandline xmlns:q='{_QEMU}'/>",
}
_PREFIX_SHADOWED = (
    f"<qemu:commandline xmlns:qemu='urn:harmless'/><x:commandline xmlns:x='{_QEMU}'>"
    "<x:arg value='-S'/></x:commandline>"
)


def hostile() -> Iterator[Hostile]:
    """Yield the documents."""
    for id, xml in _NONE.items():
        yield Hostile(f"none-{id}", xml)
    for id, part in _FOREIGN.items():
        yield Hostile(f"foreign-{id}", whole(more=part), "foreign namespace")
    yield Hostile("foreign-device", whole("<x:disk xmlns:x='urn:x'/>"), "foreign namespace")
    yield Hostile("foreign-shadowed", whole(more=_PREFIX_SHADOWED), "foreign namespace")
    yield Hostile("cdata-hostdev", whole(f"<![CDATA[{_HOSTDEV}]]>"), "text not listed")
    for id, part in _ARGUMENTS.items():
        yield Hostile(
            f"arguments-{id}",
            whole(more=part),
            "emulator arguments",
            "allow_emulator_arguments",
        )
    yield Hostile(
        "entities-hide-a-path",
        whole(
            "<disk type='file'><driver type='raw'/><source file='&#x2f;etc&#x2f;shadow'/>"
            "<target dev='vda'/></disk>",
        ),
        "disk file not listed",
        "disk_roots",
    )
    yield Hostile(
        "cdata-hides-an-emulator",
        whole("<emulator><![CDATA[/tmp/]]>evil</emulator>"),
        "emulator",
        "allowed_emulators",
    )
