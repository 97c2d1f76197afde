"""The daemon's live picture of all resources, which the engines' own events keep true.

`Mirror` follows one engine: subscribe, list, apply. `Picture` holds what is known,
`Journal` what has changed, `watch` tells it. `Inventory` is what the rest of the core
uses. Nothing here knows an engine's SDK, or gRPC.
"""

from proad.core.inventory.inventory import Inventory
from proad.core.inventory.journal import Journal
from proad.core.inventory.picture import Picture
from proad.core.inventory.watch import Batch, watch

__all__ = ["Batch", "Inventory", "Journal", "Picture", "watch"]
