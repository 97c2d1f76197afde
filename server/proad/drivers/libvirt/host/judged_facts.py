"""Facts about libvirt's host on which domain XML is judged; none depends on a request."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import libvirt

from proad.drivers.libvirt.errors import code_of
from proad.drivers.libvirt.host.virt import NOT_OFFERED, is_local, is_test
from proad.drivers.libvirt.storage import nvram, pools
from proad.drivers.libvirt.xml.parser import parse
from proad.model import DomainFacts

# Later folders take precedence in QEMU's scheme, which matters nothing to what is listed.
_DESCRIPTIONS = ("/usr/share/qemu/firmware", "/etc/qemu/firmware")
_MACHINES = (None, "q35", "virt")


def read_host(connection: libvirt.virConnect) -> DomainFacts:
    """Return the facts that stay the same while libvirtd runs: all but pools and media."""
    if is_test(connection):
        return DomainFacts(types=frozenset({"test"}))
    capabilities = parse(connection.getCapabilities())
    texts = {each: capabilities.xpath(f"guest/arch//{each}") for each in ("emulator", "domain")}
    firmware, templates = set(_loaders(connection)), set[str]()
    if is_local(connection):
        for code, variables in _described():
            firmware.add(code)
            templates.add(variables)
    return DomainFacts(
        types=frozenset(each.get("type", "") for each in texts["domain"]),
        emulators=frozenset(each.text or "" for each in texts["emulator"]) - {""},
        firmware=frozenset(firmware),
        variables=frozenset(templates - {""}),
        variables_dir=nvram.folder(connection),
    )


def read_pools(connection: libvirt.virConnect) -> tuple[dict[str, str], dict[str, str]]:
    """Return the storage pools by their folders, and the pools of other volumes by their paths."""
    folders: dict[str, str] = {}
    volumes: dict[str, str] = {}
    for pool in pools.all_pools(connection):
        if pool.folder:
            folders[pool.path.rstrip("/")] = pool.name
        elif pool.active:
            for path in pools.paths_in(connection, pool.name):
                volumes[path] = pool.name
    return folders, volumes


def _loaders(connection: libvirt.virConnect) -> Iterator[str]:
    for machine in _MACHINES:
        try:
            answer = connection.getDomainCapabilities(None, None, machine, None)
        except libvirt.libvirtError as error:
            if code_of(error) not in NOT_OFFERED:
                raise
            continue
        for value in parse(answer).iterfind("os/loader/value"):
            yield value.text or ""


def _described() -> Iterator[tuple[str, str]]:
    """Yield the firmware that the host's descriptions list, each with its template."""
    for folder in _DESCRIPTIONS:
        for path in sorted(Path(folder).glob("*.json")):
            with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
                mapping = json.loads(path.read_text())["mapping"]
                code = mapping.get("executable", mapping)["filename"]
                yield code, mapping.get("nvram-template", {}).get("filename", "")
