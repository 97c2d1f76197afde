"""Samples from Docker's counters, for both versions of control groups."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from proad.drivers.docker.stats import sample
from proad.model import BlockStats, NetworkStats, ResourceKind
from unit.docker.engine_answers import ID, to_value

READ = "2026-01-02T03:04:05.5Z"


def measured(**parts: Any) -> dict[str, Any]:
    return {"read": READ, "cpu_stats": {"cpu_usage": {"total_usage": 1_500_000_000}}, **parts}


def test_sample_has_cpu_and_time():
    found = sample(ID, to_value(measured()))
    assert found is not None
    assert (found.id, found.kind) == (ID, ResourceKind.CONTAINER)
    assert found.sample_time == datetime(2026, 1, 2, 3, 4, 5, 500_000, tzinfo=UTC)
    assert found.cpu_time == timedelta(seconds=1.5)
    assert (found.network, found.block) == (NetworkStats(), BlockStats())
    assert found.cpu_percent is None


def test_sample_of_stopped_container_is_none():
    assert sample(ID, to_value(measured(read="0001-01-01T00:00:00Z"))) is None


def test_sample_without_counters_is_none():
    """Docker answers without numbers where control groups are unusable."""
    empty = {"read": READ, "cpu_stats": {"cpu_usage": {"total_usage": 0}}, "memory_stats": {}}
    assert sample(ID, to_value(empty)) is None
    assert sample(ID, to_value({**empty, "memory_stats": {"usage": 1}})) is not None


@pytest.mark.parametrize(
    ("details", "usage"),
    [
        ({"total_inactive_file": 30, "inactive_file": 10}, 70),
        ({"inactive_file": 40, "file": 60}, 60),
        ({"inactive_file": 0}, 100),
        ({"inactive_file": 200}, 100),  # read at another moment
        ({}, 100),
    ],
)
def test_sample_memory_excludes_droppable_cache(details: dict[str, int], usage: int):
    found = sample(
        ID, to_value(measured(memory_stats={"usage": 100, "limit": 500, "stats": details}))
    )
    assert found is not None
    assert (found.memory_usage_bytes, found.memory_limit_bytes) == (usage, 500)


def test_sample_networks_are_summed():
    one = {"rx_bytes": 1, "rx_packets": 2, "tx_bytes": 3, "tx_packets": 4, "rx_errors": 9}
    other = {"rx_bytes": 10, "rx_packets": 20, "tx_bytes": 30, "tx_packets": 40}
    found = sample(ID, to_value(measured(networks={"eth0": one, "eth1": other})))
    assert found is not None
    assert found.network == NetworkStats(
        receive_bytes=11, receive_packets=22, transmit_bytes=33, transmit_packets=44
    )


@pytest.mark.parametrize(
    ("read", "write", "others"),
    [("Read", "Write", ("Sync", "Async", "Discard", "Total")), ("read", "write", ())],
)
def test_sample_disks_are_summed(read: str, write: str, others: tuple[str, ...]):
    def counter(first: int) -> list[dict[str, Any]]:
        disks = [
            {"major": 8, "minor": 16 * disk, "op": operation, "value": first + value + 10 * disk}
            for disk in (0, 1)
            for value, operation in enumerate((read, write))
        ]
        return disks + [{"major": 8, "minor": 0, "op": op, "value": 999} for op in others]

    block = {"io_service_bytes_recursive": counter(100), "io_serviced_recursive": counter(1)}
    found = sample(ID, to_value(measured(blkio_stats=block)))
    assert found is not None
    assert found.block == BlockStats(
        read_bytes=210, write_bytes=212, read_requests=12, write_requests=14
    )


def test_sample_without_disk_counters_has_no_disk():
    found = sample(ID, to_value(measured(blkio_stats={"io_service_bytes_recursive": None})))
    assert found is not None
    assert found.block == BlockStats()
