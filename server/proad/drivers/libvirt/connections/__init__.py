"""Connections to a libvirtd, the threads that use them, and queries over them."""
