"""What became of requests that the daemon, or its engine, did not finish."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from proad import ports
from proad.core.engine_connection import EngineConnection
from proad.core.hosts import Hosts, require
from proad.core.inventory import Inventory
from proad.core.removals import Removals
from proad.core.requests import Judgement
from proad.errors import (
    ImageNotFoundError,
    RequestInterruptedError,
    ResourceNotFoundError,
    SnapshotNotFoundError,
    VolumeNotFoundError,
)
from proad.model import (
    Action,
    Footprint,
    Intent,
    Resource,
    ResourceState,
    ResourceView,
    Snapshot,
    Volume,
)
from proad.model.update import value_digest
from proad.ports.requests import RequestRecord

_PASSING = frozenset({ResourceState.STARTING, ResourceState.STOPPING, ResourceState.REMOVING})
_UNKNOWN = Judgement(error=RequestInterruptedError("unknown"))
_SUCCEEDED = Judgement()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryTiming:
    """Durations of judgements, in seconds.

    Attributes:
        settles_within: how long a resource that is starting, stopping or being removed may take
            until it is judged as it is.
        interval: time between two looks at such a resource.
    """

    settles_within: float = 30.0
    interval: float = 0.2


class RequestJudge:
    """Judges interrupted requests by what is on their engines; implements `core.requests.Judge`.

    Nothing is done a second time. What a create has left half done is undone.

    Args:
        hosts: the engines.
        inventory: shows the values of updates.
        removals: removes what interrupted creates make later.
        timing: durations.
    """

    def __init__(
        self,
        hosts: Hosts,
        inventory: Inventory,
        removals: Removals,
        timing: RecoveryTiming = RecoveryTiming(),
    ) -> None:
        self._hosts = hosts
        self._inventory = inventory
        self._removals = removals
        self._timing = timing

    async def judge(self, record: RequestRecord) -> Judgement | None:
        """Return what became of a request; None: that cannot be told yet.

        Raises:
            ProaError: that cannot be told yet.
        """
        intent = record.intent
        connection = None
        if intent is not None:
            connection = self._hosts.connection(intent.host, intent.driver)
        if intent is None or connection is None:  # the host is not configured any more
            return _UNKNOWN
        if intent.footprint is not None:
            return await self._created(connection, intent, intent.footprint)
        return await self._done(connection, intent)

    async def _done(self, connection: EngineConnection, intent: Intent) -> Judgement:
        """Judge what is no create by whether what was asked for is so now."""
        driver = connection.driver
        match intent.action:
            case Action.START | Action.STOP | Action.PAUSE | Action.RESUME:
                return await self._state(connection, intent)
            case Action.UPDATE:
                return await self._updated(connection, intent)
            case Action.DELETE:
                gone = await self._settled(connection, intent.id) is None
            case Action.DELETE_SNAPSHOT:
                snapshots = require(driver, ports.Snapshots)
                gone = await _gone(
                    connection, lambda: snapshots.get_snapshot(intent.id, intent.name)
                )
            case Action.DELETE_IMAGE:
                images = require(driver, ports.Images)
                gone = await _gone(connection, lambda: images.get_image(intent.name))
            case Action.DELETE_VOLUME:
                gone = await self._volume_gone(connection, intent)
            case Action.LOGOUT_REGISTRY:
                gone = True  # credentials are kept in memory alone
            case _:
                return _UNKNOWN
        return _SUCCEEDED if gone else _UNKNOWN

    async def _created(
        self, connection: EngineConnection, intent: Intent, footprint: Footprint
    ) -> Judgement | None:
        """Finish or undo a create."""
        driver = require(connection.driver, ports.Recovery)
        found = await connection.read(lambda: driver.find_created(footprint))
        if found is not None and found.complete:
            return Judgement(about=await self._told(connection, found.made))
        with connection.call():
            left = await driver.undo_created(footprint)
        if found is not None:
            return None  # look whether it is gone
        self._removals.add(intent, datetime.now(UTC))
        return Judgement(error=RequestInterruptedError("none", left=left))

    async def _told(
        self, connection: EngineConnection, made: Resource | Snapshot | Volume
    ) -> Resource | Snapshot | Volume:
        """Return what was made, as a response has it."""
        match made:
            case Resource():
                summary = await connection.read(
                    lambda: connection.driver.get_resource(made.id, ResourceView.SUMMARY)
                )
                return replace(summary, engine=connection.ref)
            case Volume():
                return replace(made, host=connection.ref.host)
        return made

    async def _state(self, connection: EngineConnection, intent: Intent) -> Judgement:
        """Judge a verb that leaves its resource in one state."""
        now = await self._settled(connection, intent.id)
        if now is None:
            # A TRANSIENT resource goes with its stop.
            return _SUCCEEDED if intent.action is Action.STOP else _UNKNOWN
        if now.state is not intent.wanted:
            return _UNKNOWN
        return Judgement(about=replace(now, engine=connection.ref))

    async def _updated(self, connection: EngineConnection, intent: Intent) -> Judgement:
        """Judge an update by whether all its values are there, as the inventory shows them."""
        try:
            full = await self._inventory.full(connection, intent.id)
        except ResourceNotFoundError:
            return _UNKNOWN
        details = full.container or full.domain
        # Name and labels, and then what the engine tells of the specification.
        views = (full, getattr(details, "spec", None), details)
        for path, digest in intent.changes:
            view = next((each for each in views if hasattr(each, path.partition(".")[0])), None)
            if value_digest(view, path) != digest:
                return _UNKNOWN
        return Judgement(about=full)

    async def _settled(self, connection: EngineConnection, id: str) -> Resource | None:
        """Return a resource that is not on its way to another state; None: there is none."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._timing.settles_within
        while True:
            try:
                now = await connection.read(
                    lambda: connection.driver.get_resource(id, ResourceView.SUMMARY)
                )
            except ResourceNotFoundError:
                return None
            if now.state not in _PASSING or clock() >= deadline:
                return now
            await asyncio.sleep(self._timing.interval)

    async def _volume_gone(self, connection: EngineConnection, intent: Intent) -> bool:
        driver = require(connection.driver, ports.Volumes)
        try:
            there = await connection.read(lambda: driver.list_volumes(intent.pool))
        except VolumeNotFoundError:  # the pool itself
            return True
        return all(volume.name != intent.name for volume in there)


async def _gone(connection: EngineConnection, look: Callable[[], Awaitable[object]]) -> bool:
    """Return whether a thing is gone, by what looks for it."""
    try:
        await connection.read(look)
    except (ResourceNotFoundError, SnapshotNotFoundError, ImageNotFoundError):
        return True
    return False
