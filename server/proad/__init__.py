"""Proa's daemon: one typed contract over Docker and libvirt."""
