"""libvirt's statistics of domains, without waiting for a QEMU that is busy, or hangs."""

from collections.abc import Mapping, Sequence

import libvirt

Answer = Mapping[str, int | str]

NOWAIT = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT


def of_each(
    connection: libvirt.virConnect, domains: Sequence[libvirt.virDomain], groups: int
) -> list[tuple[libvirt.virDomain, Answer]]:
    """Ask for some groups of statistics; a domain that is gone is left out."""
    # Without any, libvirt would be asked for all.
    return connection.domainListGetStats(domains, groups, NOWAIT) if domains else []


def of_one(domain: libvirt.virDomain, groups: int) -> Answer:
    """Ask for some groups of statistics; of a domain that is gone there are none."""
    return next((answer for _, answer in of_each(domain.connect(), [domain], groups)), {})
