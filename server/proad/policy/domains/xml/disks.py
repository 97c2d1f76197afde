"""The allowlist of the disks in domain XML."""

from collections.abc import Callable, Mapping

from proad.policy.domains.xml.grammar import ElementRules, Need, Power, ValueRule, Variants, denied
from proad.policy.domains.xml.parts import (
    BOOT,
    HOST_CHANNEL,
    SECRET,
    SECURITY_LABEL,
    TUNING,
    placed,
)
from proad.policy.domains.xml.places import PoolDevice, PoolFile, StatedFormat
from proad.policy.domains.xml.values import (
    NAME,
    WORD,
    YES_NO,
    Like,
    Named,
    Number,
    Or,
    Prose,
    Words,
)

_POOL = Named("allowed_pools", "pool not listed", "storage pool")
_VOLUME = Like(rf"(?!\.{{1,2}}$){NAME}", "a name")
_FORMAT = Words("raw qcow2")
_INDEX = Number(0, 65_535)
_BACKING_STORE = Power("backing store", "allow_backing_stores")

# Proa lets a medium keep its owner.
_KEPT_OWNER = ElementRules(
    attributes={
        "model": Words("dac"),
        "relabel": Or(
            value=Words("no"),
            wider=YES_NO,
            power=SECURITY_LABEL,
            message="the file would have another label than libvirt's",
        ),
    },
    children={"label": denied(SECURITY_LABEL, "the file would have a label of the caller")},
)
_SECRETS: Mapping[str, ElementRules] = {
    name: denied(SECRET, "secrets of libvirt are the host's") for name in ("auth", "encryption")
}
_OUTSIDE: Mapping[str, ElementRules] = {
    **_SECRETS,
    "seclabel": _KEPT_OWNER,
    "reservations": denied(HOST_CHANNEL, "QEMU would use a helper"),
    "slices": denied(_BACKING_STORE, "a part of an image"),
}


def _source(attributes: Mapping[str, ValueRule]) -> ElementRules:
    policy = Words("mandatory requisite optional")
    return ElementRules(
        attributes={"startupPolicy": policy, "index": _INDEX, **attributes}, children=_OUTSIDE
    )


def _network_source() -> ElementRules:
    return ElementRules(
        attributes={"protocol": WORD, "name": Prose(1024), "tls": YES_NO, "index": _INDEX},
        children={
            "host": ElementRules(
                attributes={
                    "name": WORD,
                    "port": Number(1, 65_535),
                    "transport": Words("tcp"),
                },
                many=True,
            ),
            **_SECRETS,
        },
    )


def _store(place: ValueRule, device: ValueRule) -> Variants:
    """Return an image below another one: the chain of backing files."""

    def form(attribute: str, value: ValueRule) -> ElementRules:
        return ElementRules(
            attributes={"index": _INDEX},
            children={
                "format": ElementRules(attributes={"type": _FORMAT}),
                "source": _source({attribute: value}),
            },
            nested="backingStore",
            checks=(StatedFormat("format"),),
        )

    return Variants(
        forms={"": ElementRules(), "file": form("file", place), "block": form("dev", device)},
        absent="",
        rule=_BACKING_STORE.rule,
    )


def _disk(place: PoolFile, source: ElementRules, *, need: Need | None = None) -> ElementRules:
    return ElementRules(
        children=placed(
            {
                "driver": _DRIVER,
                "source": source,
                "backingStore": _store(place, PoolDevice()),
                "target": _TARGET,
                "readonly": ElementRules(),
                "boot": BOOT,
                "iotune": denied(TUNING, "limits of a disk are the host's"),
                **_SECRETS,
            }
        ),
        need=need,
        checks=(StatedFormat("driver"),),
    )


_DRIVER = ElementRules(
    attributes={
        "name": Words("qemu"),
        "type": _FORMAT,
        "cache": Words("default none writeback writethrough directsync unsafe"),
        "io": Words("native threads io_uring"),
        "discard": Words("unmap ignore"),
        "detect_zeroes": Words("off on unmap"),
        "error_policy": Words("stop report ignore enospace"),
        "rerror_policy": Words("stop report ignore"),
    }
)
_TARGET = ElementRules(
    attributes={
        "dev": Like("[a-z]{2,8}[0-9]{0,3}", "a name of a disk"),
        "bus": Words("virtio sata scsi ide usb fdc"),
        "tray": Words("open closed"),
    }
)
_NETWORK_DISK = Need(
    power=Power("network disk", "allow_network_disks"),
    message="the host would open a disk over the network",
)


def _by_device(make: Callable[[PoolFile], ElementRules]) -> Variants:
    forms = {"disk": make(PoolFile()), "cdrom": make(PoolFile(medium=True))}
    return Variants(by="device", forms=forms, absent="disk", rule="value not listed")


DISK = Variants(
    forms={
        "file": _by_device(lambda place: _disk(place, _source({"file": place}))),
        "block": _by_device(lambda place: _disk(place, _source({"dev": PoolDevice()}))),
        "volume": _by_device(
            lambda place: _disk(place, _source({"pool": _POOL, "volume": _VOLUME}))
        ),
        "network": _by_device(lambda place: _disk(place, _network_source(), need=_NETWORK_DISK)),
    },
    absent="file",
    rule="disk not listed",
    many=True,
)
