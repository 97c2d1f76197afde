"""libvirt's words in a domain's XML, and what the model has for them.

A word that the model has no value for is OTHER, never what happens to be the default.
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
    """Return what a word stands for; `absent` for none, or OTHER where that is None."""
    if not word and absent is not None:
        return absent
    name = word.upper()
    return enum(name) if name in enum.__members__ else enum("OTHER")


def boot_device(word: str) -> BootDevice:
    """Return what a kind of device is to boot from."""
    return _BOOT.get(word, BootDevice.OTHER)


def preferred_graphics(found: Sequence[Graphics]) -> Graphics | None:
    """Return the one of several screens that is shown: what a caller reaches most easily."""
    return min(found, key=lambda each: _NEAREST.index(each.type), default=None)
