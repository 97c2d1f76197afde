"""The command `proa`."""
