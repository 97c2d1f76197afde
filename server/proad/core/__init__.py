"""The logic between the wire and the drivers."""
