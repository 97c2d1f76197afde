"""Hostile domain XML: documents that the default policy refuses, by the rule that refuses them."""

from collections.abc import Iterator

from hostile_xml import devices, disks, documents, domains, interfaces, values
from hostile_xml.document import Hostile, whole

__all__ = ["Hostile", "every", "whole"]


def every() -> list[Hostile]:
    """Return all documents; their ids differ."""

    def found() -> Iterator[Hostile]:
        for module in (documents, domains, devices, disks, interfaces, values):
            yield from module.hostile()

    return [*found()]
