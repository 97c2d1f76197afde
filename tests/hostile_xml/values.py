"""Hostile values: numbers, units, blanks."""

from collections.abc import Iterator

from hostile_xml.document import Hostile, whole

_MEMORY = (
    *("0", "-1", "+1", "1.5", "1e9", "0x100000", "٣٢٧٦٨", "1_000", "1,000", "", " 32768", "32768 "),
    *("18446744073709551616", "9223372036854775808", "9" * 400, "32768;", "NaN", "inf", "00"),
    "32768&#10;",
)
_UNITS = ("", "kib", "PiB", "KiB ", "-k", "KiB,x", "EiB")
_VCPUS = ("0", "-1", "1.0", "65536", "4294967297", "9" * 30, "", " 1", "1 ", "0x1", "one", "01")


def hostile() -> Iterator[Hostile]:
    """Yield the documents."""
    rule = "value not listed"
    for number, value in enumerate(_MEMORY):
        yield Hostile(f"memory-{number}", whole(memory=f"<memory>{value}</memory>"), rule)
        more = f"<currentMemory>{value}</currentMemory>"
        yield Hostile(f"current-{number}", whole(more=more), rule)
    for number, unit in enumerate(_UNITS):
        memory = f"<memory unit='{unit}'>32768</memory>"
        yield Hostile(f"unit-{number}", whole(memory=memory), rule)
    for number, value in enumerate(_VCPUS):
        yield Hostile(f"vcpu-{number}", whole(vcpu=f"<vcpu>{value}</vcpu>"), rule)
        vcpu = f"<vcpu current='{value}'>4</vcpu>"
        yield Hostile(f"vcpus-now-{number}", whole(vcpu=vcpu), rule)
    yield Hostile("memory-too-much", whole(memory="<memory unit='TiB'>9000</memory>"), rule)
    yield Hostile("vcpu-placement", whole(vcpu="<vcpu placement='auto'>1</vcpu>"), rule)
    yield Hostile(
        "memory-attribute",
        whole(memory="<memory slots='1'>32768</memory>"),
        "attribute not listed",
    )
    yield Hostile("memory-nested", whole(memory="<memory>32768<x/></memory>"))
