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
_VNC = frozenset({GraphicsType.VNC, GraphicsType.VNC_LOOPBACK, GraphicsType.VNC_OTHER})
_NEAREST = (GraphicsType.SPICE, GraphicsType.OTHER, GraphicsType.NONE)


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

    def distance(graphics: Graphics) -> int:
        return -1 if graphics.type in _VNC else _NEAREST.index(graphics.type)

    return min(found, key=distance, default=None)


def graphics_type(protocol: str, listen: str, address: str) -> GraphicsType:
    """Return how a screen is reached.

    Args:
        protocol: such as "vnc".
        listen: the type of what it listens on, such as "address" or "none".
        address: the address that it listens on; empty: not stated.
    """
    if protocol != "vnc":
        return member(GraphicsType, protocol)
    if listen == "none":
        return GraphicsType.VNC
    loopback = address == "127.0.0.1" and listen in {"", "address"}
    return GraphicsType.VNC_LOOPBACK if loopback else GraphicsType.VNC_OTHER
