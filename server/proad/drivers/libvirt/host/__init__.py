"""The host of a libvirtd: its identity, and what domains on it can have."""
