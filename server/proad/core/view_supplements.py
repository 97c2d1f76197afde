"""What a FULL view that a caller asks for has beside what the inventory has."""

from dataclasses import dataclass, replace

from proad.core.engine_connection import EngineConnection
from proad.core.guest_info import GuestInfos
from proad.core.kept_with import KeptWith
from proad.core.last_lines import LastLines
from proad.core.slices import TimeSlicer
from proad.model import GuestInfo, Resource


@dataclass(frozen=True, slots=True)
class _Supplemented:
    """A view with what it was supplemented by last."""

    lines: tuple[str, ...]
    info: GuestInfo | None
    view: Resource


class ViewSupplements:
    """Supplements FULL views by last lines and guest information.

    Neither is part of what the inventory has: no change of them is an event or changes an etag.

    Args:
        slicer: shares the event loop's time.
    """

    def __init__(self, slicer: TimeSlicer) -> None:
        self._last_lines = LastLines(slicer)
        self._guest_infos = GuestInfos()
        # The same object for the same content: its encoding is kept with it.
        self._supplemented: KeptWith[_Supplemented] = KeptWith()

    async def complete(self, connection: EngineConnection, view: Resource) -> Resource:
        """Return a FULL view with what there is beside it."""
        lines = await self._last_lines.of(connection, view)
        info = await self._guest_infos.of(connection, view)
        if not lines and info is None:
            return view
        kept = self._supplemented.get(view)
        if kept is None or (kept.lines, kept.info) != (lines, info):
            detail = replace(view.state_detail, last_lines=lines)
            whole = replace(view, state_detail=detail, guest_info=info)
            kept = self._supplemented.put(view, _Supplemented(lines, info, whole))
        return kept.view
