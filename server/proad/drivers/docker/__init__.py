"""The driver of the Docker Engine."""
