"""The serial consoles of domains."""
