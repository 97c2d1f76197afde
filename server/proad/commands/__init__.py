"""The commands of `proad`."""
