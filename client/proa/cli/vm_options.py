"""Parsers for the options of `proa vm create`."""

import typer

from proa import v1
from proa.cli.run_options import reject_rest, settings
from proa.cli.text import one_of, size

_bus = one_of(v1.DiskBus)
_format = one_of(v1.DiskFormat)
_model = one_of(v1.NetworkModel)


def volume_ref(text: str) -> v1.VolumeRef:
    """Parse [POOL/]NAME."""
    pool, _, name = text.rpartition("/")
    if not name or "/" in pool:
        raise typer.BadParameter(f"{text!r} is no volume; write it like POOL/NAME")
    return v1.VolumeRef(pool=pool, name=name)


def disk(text: str) -> v1.DiskSpec:
    """Parse SIZE, base=… or volume=… with comma-separated settings; "none" is an empty message."""
    if text == "none":
        return v1.DiskSpec()
    first, comma, rest = text.partition(",")
    fields = settings(text if "=" in first else f"size={first}{comma}{rest}")
    made = v1.DiskSpec(
        bus=_bus(fields.pop("bus")) if "bus" in fields else v1.DISK_BUS_UNSPECIFIED,
        read_only=fields.pop("ro", None) is not None,
    )
    if "volume" in fields:
        made.volume.CopyFrom(volume_ref(fields.pop("volume")))
        if form := fields.pop("format", None):
            made.volume.format = _format(form)
    else:
        made.new_volume.CopyFrom(_new_disk(fields))
    reject_rest(fields)
    return made


def _new_disk(fields: dict[str, str]) -> v1.NewDisk:
    base = fields.pop("base", None)
    capacity = fields.pop("size", None)
    if base is None and capacity is None:
        raise typer.BadParameter(
            "a new disk needs a size or a base, such as 10GiB or base=POOL/NAME"
        )
    form = fields.pop("format", None)
    below = volume_ref(base) if base else None
    if below is not None and (base_form := fields.pop("base-format", None)):
        below.format = _format(base_form)
    return v1.NewDisk(
        capacity_bytes=size(capacity) if capacity else 0,
        pool=fields.pop("pool", ""),
        volume_name=fields.pop("name", ""),
        format=_format(form) if form else v1.DISK_FORMAT_UNSPECIFIED,
        base=below,
    )


def cdrom(text: str) -> v1.CdromSpec:
    """Parse a PATH of the host, volume=POOL/NAME, or "empty" for an empty drive."""
    if text.startswith("volume="):
        return v1.CdromSpec(volume=volume_ref(text.removeprefix("volume=")))
    return v1.CdromSpec(path=text) if text not in {"", "empty"} else v1.CdromSpec()


def network(text: str) -> v1.NetworkSpec:
    """Parse NAME[,model=…][,mac=…]; "none" is an empty message."""
    if text == "none":
        return v1.NetworkSpec()
    name, _, rest = text.partition(",")
    fields = settings(rest)
    model = fields.pop("model", None)
    made = v1.NetworkSpec(
        network=name,
        model=_model(model) if model else v1.NETWORK_MODEL_UNSPECIFIED,
        mac_address=fields.pop("mac", ""),
    )
    reject_rest(fields)
    return made
