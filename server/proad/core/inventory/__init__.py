"""The daemon's live picture of all resources, which the engines' own events keep true.

`Mirror` follows one engine: subscribe, list, apply. Its `Looks` see again what the engine
hints at, unless something `Holds` that back, and read in full what somebody was shown
(`FullReads`). `Picture` holds what is `Known`, a `Deed` tells whose doing a change is,
`Journal` has the changes and `watch` tells them. The rest of the core begins at
`Inventory`. Nothing here knows an engine's SDK, or gRPC.
"""

from proad.core.inventory.inventory import Inventory
from proad.core.inventory.journal import Journal
from proad.core.inventory.store import Store
from proad.core.inventory.watch import Batch, watch

__all__ = ["Batch", "Inventory", "Journal", "Store", "watch"]
