"""Volumes: where they are, what they are made of, whose they are, and who uses them."""
