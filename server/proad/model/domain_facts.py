"""Facts about a host that decide which of a domain's files are the host's own."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from proad.errors import Violation


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainFacts:
    """Facts about a host on which its domains are judged. None depends on a request.

    Attributes:
        types: types of domains, such as "kvm".
        emulators: paths of libvirt's own emulators.
        firmware: paths of the listed firmware.
        variables: paths of the listed templates of UEFI variables.
        variables_dir: folder of the UEFI variables of domains; empty: unknown.
        pools: storage pools whose volumes are the files of a folder: the name by the folder.
        volumes: volumes of the other storage pools: the name of the pool by the path.
        media_dirs: folders of installation media.
    """

    types: frozenset[str] = frozenset()
    emulators: frozenset[str] = frozenset()
    firmware: frozenset[str] = frozenset()
    variables: frozenset[str] = frozenset()
    variables_dir: str = ""
    pools: Mapping[str, str] = field(default_factory=dict)
    volumes: Mapping[str, str] = field(default_factory=dict)
    media_dirs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainDocument:
    """XML that a domain runs by, or would run by.

    Attributes:
        xml: a `<domain>`, or a `<domainsnapshot>`.
        found: what is in its images and their folders, each with the setting that would allow it.
    """

    xml: str
    found: tuple[Violation, ...] = ()
