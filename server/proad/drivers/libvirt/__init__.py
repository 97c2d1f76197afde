"""The driver of libvirt."""
