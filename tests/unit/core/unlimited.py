"""Quotas of a core whose policy has none."""

from proad.core.local_records import LocalVolumeOwners, NoOwners
from proad.core.quotas import Quotas
from proad.core.volume_owner_cache import VolumeOwnerCache
from proad.core.volume_tenancy import VolumeTenancy


def unlimited(inventory, gate):
    """Return quotas over an inventory."""
    return Quotas(inventory, VolumeTenancy(VolumeOwnerCache(LocalVolumeOwners()), NoOwners()), gate)
