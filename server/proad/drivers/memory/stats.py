"""What the imitated workloads seem to use: made up, from how long they have run."""

from collections.abc import Collection, Mapping
from datetime import timedelta

from proad.drivers.memory.engine import HOST_MEMORY_BYTES, ImitatedEngine, now
from proad.drivers.memory.workload import Workload
from proad.model import BlockStats, NetworkStats, ResourceStats

_CPU_SHARE = 0.05
_MIB = 2**20
_MEMORY_AT_START = 16 * _MIB
_MEMORY_PER_SECOND = 4096
_PACKET_BYTES = 500
_BLOCK_BYTES = 4096


class MemoryStats:
    """Computes samples, since nothing runs that could be measured.

    Each number is a function of the time of the run without its pauses, so that tests can
    predict it.
    """

    def __init__(self, engine: ImitatedEngine) -> None:
        self._engine = engine

    async def stats(self, ids: Collection[str]) -> Mapping[str, ResourceStats]:
        """Make up one sample of each active workload."""
        self._engine.connection.check()
        workloads = (self._engine.workloads.get(id) for id in ids)
        return {
            workload.resource.id: _sample(workload, workload.run.seconds)
            for workload in workloads
            if workload is not None and workload.run is not None
        }


def _sample(workload: Workload, seconds: float) -> ResourceStats:
    limit = _memory_limit(workload)
    received, sent = int(2 * seconds), int(seconds)
    read, written = int(seconds), int(3 * seconds)
    return ResourceStats(
        id=workload.resource.id,
        kind=workload.resource.kind,
        sample_time=now(),
        cpu_time=timedelta(seconds=seconds * _CPU_SHARE),
        memory_usage_bytes=min(limit, _MEMORY_AT_START + int(seconds * _MEMORY_PER_SECOND)),
        memory_limit_bytes=limit,
        network=NetworkStats(
            receive_bytes=received * _PACKET_BYTES,
            transmit_bytes=sent * _PACKET_BYTES,
            receive_packets=received,
            transmit_packets=sent,
        ),
        block=BlockStats(
            read_bytes=read * _BLOCK_BYTES,
            write_bytes=written * _BLOCK_BYTES,
            read_requests=read,
            write_requests=written,
        ),
    )


def _memory_limit(workload: Workload) -> int:
    if (domain := workload.resource.domain) is not None:
        return domain.memory_bytes
    container = workload.resource.container
    limits = container.spec.resources if container and container.spec else None
    return limits.memory_bytes if limits and limits.memory_bytes else HOST_MEMORY_BYTES
