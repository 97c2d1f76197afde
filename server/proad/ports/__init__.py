"""What the core asks of the world: drivers of engines, and records that outlive the daemon."""

from proad.ports.driver import (
    Containers,
    Domains,
    Driver,
    Images,
    OnEvent,
    OnMade,
    OnStep,
    Snapshots,
    Stats,
    Updates,
    Volumes,
    untold,
)

__all__ = [
    "Containers",
    "Domains",
    "Driver",
    "Images",
    "OnEvent",
    "OnMade",
    "OnStep",
    "Snapshots",
    "Stats",
    "Updates",
    "Volumes",
    "untold",
]
