"""Samples made of libvirt's statistics."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from proad.drivers.libvirt.connections.connection import Connection
from proad.drivers.libvirt.stats import StatsCollector
from proad.drivers.tolerant import Omissions
from proad.model import BlockStats, NetworkStats, ResourceKind, ResourceStats

ID = "00000000-0000-4000-8000-000000000001"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
KIB = 1024

OF_LIBVIRT: dict[str, Any] = {
    "state.state": 1,
    "cpu.time": 1_391_354_567,
    "balloon.current": 160 * KIB,
    "net.count": 2,
    "net.0.name": "vnet3",
    "net.0.rx.bytes": 784,
    "net.0.rx.pkts": 11,
    "net.0.tx.bytes": 1094,
    "net.0.tx.pkts": 5,
    "net.1.rx.bytes": 1,
    "net.1.rx.pkts": 2,
    "net.1.tx.bytes": 3,
    "net.1.tx.pkts": 4,
}
OF_QEMU: dict[str, Any] = {
    "balloon.rss": 44_384,
    "block.count": 2,
    "block.0.name": "sda",  # an empty drive counts nothing
    "block.1.rd.bytes": 512,
    "block.1.rd.reqs": 1,
    "block.1.wr.bytes": 1024,
    "block.1.wr.reqs": 2,
}


@pytest.fixture
def collector() -> StatsCollector:
    connection = Connection(
        "test:///default", threads=1, on_event=lambda _: None, on_loss=lambda: None
    )
    return StatsCollector(connection, Omissions("libvirt"))


def test_sample_of_several_devices_is_their_sum(collector: StatsCollector):
    assert collector.sample(ID, {**OF_LIBVIRT, **OF_QEMU}, NOW) == ResourceStats(
        id=ID,
        kind=ResourceKind.DOMAIN,
        sample_time=NOW,
        cpu_time=timedelta(microseconds=1_391_354),
        memory_usage_bytes=44_384 * KIB,
        memory_limit_bytes=160 * KIB * KIB,
        network=NetworkStats(
            receive_bytes=785, receive_packets=13, transmit_bytes=1097, transmit_packets=9
        ),
        block=BlockStats(read_bytes=512, read_requests=1, write_bytes=1024, write_requests=2),
    )


@pytest.mark.parametrize("state", [0, 5, 6])
def test_sample_of_an_inactive_domain_is_none(collector: StatsCollector, state: int):
    assert collector.sample(ID, {**OF_LIBVIRT, **OF_QEMU, "state.state": state}, NOW) is None


def test_sample_without_statistics_of_qemu_is_none(collector: StatsCollector):
    assert collector.sample(ID, {"state.state": 1, "state.reason": 0}, NOW) is None


def test_sample_of_a_busy_qemu_keeps_its_last_counters(collector: StatsCollector):
    assert collector.sample(ID, OF_LIBVIRT, NOW) is None  # no counters going back to zero
    first = collector.sample(ID, {**OF_LIBVIRT, **OF_QEMU}, NOW)
    assert first is not None
    busy = collector.sample(ID, {**OF_LIBVIRT, "cpu.time": 2_000_000_000}, NOW)
    assert busy is not None
    assert busy.cpu_time == timedelta(seconds=2)
    assert (busy.memory_usage_bytes, busy.block) == (first.memory_usage_bytes, first.block)
    collector.forget(ID)  # its run ended
    assert collector.sample(ID, OF_LIBVIRT, NOW) is None
