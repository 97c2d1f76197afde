"""Hostile requests for containers: what callers of a default profile must not get.

Drawn from how this family of systems was bypassed: a bind hidden in a volume, another spelling of
a name that is checked, a path that leads elsewhere later, the namespace of another container, a
log driver that dials out, a working folder that is an open folder of the host.
"""

from collections.abc import Mapping, Sequence

from hostile_containers.foreign import FOREIGN
from hostile_containers.hostile import Foreign, Hostile
from hostile_containers.mounts import BINDS, PLACES, VOLUME_NAMES
from hostile_containers.networks import NAMES, NETWORKS, PORTS
from hostile_containers.others import IMAGES, LIMITS, LOGS
from hostile_containers.privileges import CAPABILITIES, DEVICES, GROUPS, PRIVILEGES, SYSCTLS

TABLES: Mapping[str, Sequence[Hostile]] = {
    "binds": BINDS,
    "capabilities": CAPABILITIES,
    "devices": DEVICES,
    "groups": GROUPS,
    "images": IMAGES,
    "limits": LIMITS,
    "logs": LOGS,
    "names": NAMES,
    "networks": NETWORKS,
    "places": PLACES,
    "ports": PORTS,
    "privileges": PRIVILEGES,
    "sysctls": SYSCTLS,
    "volume names": VOLUME_NAMES,
}
"""The requests by what they are after."""

__all__ = ["FOREIGN", "TABLES", "Foreign", "Hostile"]
