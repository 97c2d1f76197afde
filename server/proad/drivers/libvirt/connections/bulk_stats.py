"""Bulk statistics of domains; never waits for a QEMU that is busy or hangs."""

from collections.abc import Mapping, Sequence

import libvirt

Answer = Mapping[str, int | str]

NOWAIT = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT


def of_each(
    connection: libvirt.virConnect, domains: Sequence[libvirt.virDomain], groups: int
) -> list[tuple[libvirt.virDomain, Answer]]:
    """Return groups of statistics of domains; a domain that does not exist is left out."""
    # An empty list means all domains to libvirt.
    return connection.domainListGetStats(domains, groups, NOWAIT) if domains else []


def of_one(domain: libvirt.virDomain, groups: int) -> Answer:
    """Return groups of statistics of a domain; empty if it does not exist."""
    return next((answer for _, answer in of_each(domain.connect(), [domain], groups)), {})
