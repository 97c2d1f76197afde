"""Statistics of domains: one call for all, also when one of them hangs."""

import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import libvirt

from proad.drivers.libvirt.connections import bulk_stats
from proad.drivers.libvirt.connections.bulk_stats import Answer
from proad.drivers.libvirt.connections.bulkheads import Bulkhead
from proad.drivers.libvirt.connections.connection import Connection
from proad.drivers.libvirt.summary_view import KIB
from proad.drivers.libvirt.timing import SampleTiming
from proad.drivers.tolerant import MOST, Omissions, Value, saturated
from proad.errors import EngineTimedOutError, ResourceNotFoundError
from proad.model import BlockStats, NetworkStats, ResourceKind, ResourceStats

_GROUPS = (
    libvirt.VIR_DOMAIN_STATS_STATE
    | libvirt.VIR_DOMAIN_STATS_CPU_TOTAL
    | libvirt.VIR_DOMAIN_STATS_BALLOON
    | libvirt.VIR_DOMAIN_STATS_INTERFACE
    | libvirt.VIR_DOMAIN_STATS_BLOCK
)
# Attempts; each one passes one more QEMU that has begun to hang.
_ASKS = 3
_MOST_KIB = MOST // KIB
_ACTIVE = frozenset(
    {
        libvirt.VIR_DOMAIN_RUNNING,
        libvirt.VIR_DOMAIN_BLOCKED,
        libvirt.VIR_DOMAIN_PAUSED,
        libvirt.VIR_DOMAIN_SHUTDOWN,
        libvirt.VIR_DOMAIN_PMSUSPENDED,
    }
)


@dataclass(frozen=True, slots=True)
class _OfQemu:
    """The statistics that only QEMU has: its memory in KiB, and the traffic of the disks."""

    memory: int
    block: BlockStats


class StatsCollector:
    """Samples the statistics of domains.

    Args:
        connection: to libvirt.
        omissions: records unreadable parts.
        timing: limits of the calls.
    """

    def __init__(
        self,
        connection: Connection,
        omissions: Omissions,
        timing: SampleTiming = SampleTiming(),
    ) -> None:
        self._timing = timing
        self._connection = connection
        self._omissions = omissions
        self._lock = threading.Lock()
        self._last: dict[str, _OfQemu] = {}

    def forget(self, id: str) -> None:
        """Drop the last statistics of a QEMU that has ended."""
        with self._lock:
            self._last.pop(id, None)

    async def stats(self, ids: Collection[str]) -> Mapping[str, ResourceStats]:
        """Sample domains; see `ports.Stats.stats`.

        The test hypervisor has no statistics. A QEMU that is busy keeps its last memory and disk
        statistics; without any, the domain has no sample.
        """
        ask = partial(self._ask, tuple(ids))
        timeout = self._timing.timeout + self._timing.timeout_per_domain * len(ids)
        for _attempt in range(_ASKS - 1):
            with suppress(EngineTimedOutError):
                return await self._connection.call(ask, bulkhead=Bulkhead.SAMPLE, timeout=timeout)
        return await self._connection.call(ask, bulkhead=Bulkhead.SAMPLE, timeout=timeout)

    def _ask(
        self, ids: Collection[str], connection: libvirt.virConnect
    ) -> Mapping[str, ResourceStats]:
        domains = list(self._found(connection, ids))
        found = bulk_stats.of_each(connection, domains, _GROUPS)
        now = datetime.now(UTC)
        samples = ((d.UUIDString(), self.sample(d.UUIDString(), a, now)) for d, a in found)
        return {id: sample for id, sample in samples if sample is not None}

    def _found(
        self, connection: libvirt.virConnect, ids: Collection[str]
    ) -> Iterator[libvirt.virDomain]:
        for id in ids:
            try:
                yield self._connection.cached_domain(connection, id)
            except ResourceNotFoundError:
                continue

    def sample(self, id: str, answer: Answer, now: datetime) -> ResourceStats | None:
        """Convert libvirt's statistics of a domain; None: the domain has no sample."""
        said = Value(answer, self._omissions, id)
        cpu_time = said["cpu.time"].number()
        if said["state.state"].number() not in _ACTIVE or cpu_time is None:
            return None
        of_qemu = _of_qemu(said)
        with self._lock:
            if of_qemu is not None:
                self._last[id] = of_qemu
            else:
                of_qemu = self._last.get(id)
        return None if of_qemu is None else _stats(id, said, cpu_time, of_qemu, now)


def _of_qemu(answer: Value) -> _OfQemu | None:
    """Return the statistics of QEMU; None: libvirt did not query it."""
    if "balloon.rss" not in answer:
        return None
    block = BlockStats(
        read_bytes=_sum(answer, "block", "rd.bytes"),
        write_bytes=_sum(answer, "block", "wr.bytes"),
        read_requests=_sum(answer, "block", "rd.reqs"),
        write_requests=_sum(answer, "block", "wr.reqs"),
    )
    return _OfQemu(answer["balloon.rss"].count(_MOST_KIB), block)


def _stats(id: str, answer: Value, cpu_time: int, of_qemu: _OfQemu, now: datetime) -> ResourceStats:
    return ResourceStats(
        id=id,
        kind=ResourceKind.DOMAIN,
        sample_time=now,
        cpu_time=timedelta(microseconds=cpu_time // 1000),
        memory_usage_bytes=of_qemu.memory * KIB,
        memory_limit_bytes=answer["balloon.current"].count(_MOST_KIB) * KIB,
        network=NetworkStats(
            receive_bytes=_sum(answer, "net", "rx.bytes"),
            transmit_bytes=_sum(answer, "net", "tx.bytes"),
            receive_packets=_sum(answer, "net", "rx.pkts"),
            transmit_packets=_sum(answer, "net", "tx.pkts"),
        ),
        block=of_qemu.block,
    )


def _sum(answer: Value, device: str, key: str) -> int:
    """Return the sum of a counter over all devices of a type; a device without it counts 0."""
    return saturated(
        sum(
            value.count()
            for name, value in answer.entries()
            if name.startswith(f"{device}.") and name.endswith(f".{key}")
        )
    )
