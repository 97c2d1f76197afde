"""Conversion of values in a domain's XML to enumerations of the model.

A value without a member becomes OTHER, never the default.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import TypeVar

from proad.model import BootDevice, Graphics, GraphicsType

E = TypeVar("E", bound=StrEnum)

_BOOT = {
    "hd": BootDevice.DISK,
    "disk": BootDevice.DISK,
    "lun": BootDevice.DISK,
    "cdrom": BootDevice.CDROM,
    "network": BootDevice.NETWORK,
}
_NEAREST = (GraphicsType.VNC, GraphicsType.SPICE, GraphicsType.OTHER, GraphicsType.NONE)


def member(enum: type[E], word: str, absent: E | None = None) -> E:
    """Return the member for a value; for an empty value `absent`, or OTHER if that is None."""
    if not word and absent is not None:
        return absent
    name = word.upper()
    return enum(name) if name in enum.__members__ else enum("OTHER")


def boot_device(word: str) -> BootDevice:
    """Return the boot device for a type of device."""
    return _BOOT.get(word, BootDevice.OTHER)


def preferred_graphics(found: Sequence[Graphics]) -> Graphics | None:
    """Return the graphics to show, of several: the one that a caller reaches most easily."""
    return min(found, key=lambda each: _NEAREST.index(each.type), default=None)
