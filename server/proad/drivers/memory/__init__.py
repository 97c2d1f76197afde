"""The memory driver: an engine imitated in this process."""

from proad.drivers.memory.driver import MemoryDriver

__all__ = ["MemoryDriver"]
