"""A live cache of all resources, kept as the engines are by their own events.

`Reflector` follows one engine: subscribe, list, apply. `Refresher` reads again what an event
marked dirty, or what a caller asks for. `Store` applies what was read, ordered by a
`LogicalClock`, and alone writes an `Entry`, which `EntryTable` finds; `Attribution` knows whose
call a change comes from, `RecordCache` what no engine can tell of a resource and `Recorder` who
changes that, `ChangeHistory` has the changes and `watch` passes them to watchers. `FullViews` has
what only a question for each resource tells. The rest of the core uses `Inventory` alone.
Nothing here knows an engine's SDK, or gRPC.
"""

from proad.core.inventory.entry import Entry
from proad.core.inventory.history import HISTORY_SIZE, ChangeHistory
from proad.core.inventory.index import KEPT_ORDERS, LONGEST_NAME, Position
from proad.core.inventory.inventory import Inventory
from proad.core.inventory.records import RecordCache
from proad.core.inventory.store import Store
from proad.core.inventory.timing import InventoryTiming
from proad.core.inventory.watch import Batch, ResumePoint, Selection, watch

__all__ = [
    "HISTORY_SIZE",
    "KEPT_ORDERS",
    "LONGEST_NAME",
    "Batch",
    "ChangeHistory",
    "Entry",
    "Inventory",
    "InventoryTiming",
    "Position",
    "RecordCache",
    "ResumePoint",
    "Selection",
    "Store",
    "watch",
]
