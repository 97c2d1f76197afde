"""The driver of libvirt."""

from proad.drivers.libvirt.driver import LibvirtDriver

__all__ = ["LibvirtDriver"]
