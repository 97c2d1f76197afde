"""libvirt's XML: domains from typed values, and what domains say of themselves."""
