"""The guest agents of domains, and the commands that they run."""
