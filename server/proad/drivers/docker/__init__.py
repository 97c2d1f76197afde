"""The docker driver."""

from proad.drivers.docker.archive.room import Room
from proad.drivers.docker.driver import DockerDriver

__all__ = ["DockerDriver", "Room"]
