"""Random requests about domains, of which about half are wrong in some way."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from planned.trial import Case, Trials
from planned.verbs import verb
from proa import v1

MIB = 2**20
QUOTA_MEMORY = 512 * MIB
_BEYOND = 1024 * MIB
_XML = """<domain type='qemu'><name>{name}</name><memory unit='MiB'>32</memory>
<os><type arch='x86_64'>hvm</type></os><devices>{devices}</devices></domain>"""


@dataclass
class Domains:
    """Draws requests about the domains of a stage.

    Args:
        chance: decides.
        prefix: of all names.
    """

    chance: random.Random
    prefix: str
    number: int = 0

    @property
    def names(self) -> tuple[str, str]:
        """The domains that the requests are about."""
        return f"{self.prefix}-a", f"{self.prefix}-b"

    def setting(self) -> Iterator[v1.CreateDomainRequest]:
        """Yield what makes them, and one whose name is taken."""
        for name, start in zip(
            (*self.names, f"{self.prefix}-taken"), (True, False, False), strict=True
        ):
            spec = self._spec(name=name, vcpus=1)
            yield v1.CreateDomainRequest(spec=spec, start=start)

    def case(self) -> Case:
        """Draw a request."""
        draw = self.chance.choices(
            (self._update, self._create, self._from_xml, self._verb), (6, 3, 1, 3)
        )[0]
        return draw()

    def restore(self, trials: Trials, case: Case) -> None:
        """Undo what a case has made: a new domain goes, a renamed one gets its name back."""
        for name in set(trials.there()) - {*self.names, f"{self.prefix}-taken"}:
            if case.subject:
                back = v1.UpdateResourceRequest(
                    id=name,
                    domain=v1.DomainSpec(name=case.subject),
                    update_mask=FieldMask(paths=["name"]),
                )
                trials.client.resources.UpdateResource(back)
            else:
                delete = v1.DeleteResourceRequest(id=name, force=True)
                trials.client.resources.DeleteResource(delete)

    def _spec(self, **fields: Any) -> v1.DomainSpec:
        usual: dict[str, Any] = {"memory_bytes": 64 * MIB, "diskless": True, "networkless": True}
        return v1.DomainSpec(**usual | fields)

    def _new_name(self) -> str:
        self.number += 1
        return f"{self.prefix}-new{self.number}"

    def _update(self) -> Case:
        fields = {
            "name": (self._new_name(), f"{self.prefix}-taken", self._new_name()),
            "memory_bytes": (96 * MIB, 128 * MIB, _BEYOND),
            "vcpus": (1, 2, 4, 4000),
            "labels": ({"a": self.chance.choice("xyz")},),
            "title": ("A title", ""),
            "description": ("More\nof it",),
            "autostart": (False,),
            "networkless": (True,),
            "deletion_protection": (False,),
        }
        chosen = self.chance.sample(sorted(fields), self.chance.randint(1, 3))
        values: dict[str, Any] = {name: self.chance.choice(fields[name]) for name in chosen}
        subject = self.chance.choice(self.names)
        request = v1.UpdateResourceRequest(
            id=subject, domain=v1.DomainSpec(**values), update_mask=FieldMask(paths=values)
        )
        return Case("UpdateResource", request, subject)

    def _create(self) -> Case:
        missing = v1.VolumeRef(name=f"{self.prefix}-none")
        fields = {
            "networks": ([v1.NetworkSpec(network=f"{self.prefix}-no")],),
            "disks": (
                [v1.DiskSpec(volume=missing)],
                [v1.DiskSpec(new_volume=v1.NewDisk(base=missing))],
                [v1.DiskSpec(new_volume=v1.NewDisk(capacity_bytes=MIB))],
                [v1.DiskSpec(new_volume=v1.NewDisk(capacity_bytes=MIB, pool="none"))],
            ),
            "cdroms": ([v1.CdromSpec(path="/etc/shadow")],),
            "machine": ("no-machine", "q35"),
            "memory_bytes": (32 * MIB, _BEYOND),
            "vcpus": (2, 4000),
            "cpu_mode": (v1.CPU_MODE_HOST_MODEL,),
            "graphics": (v1.GraphicsSpec(type=v1.GRAPHICS_TYPE_VNC_LOOPBACK),),
        }
        chosen = self.chance.sample(sorted(fields), self.chance.randint(0, 2))
        values: dict[str, Any] = {name: self.chance.choice(fields[name]) for name in chosen}
        if "networks" in values:
            values["networkless"] = False
        if "disks" in values:
            values["diskless"] = False
        values["name"] = self.chance.choice([self._new_name()] * 3 + [f"{self.prefix}-taken"])
        request = v1.CreateDomainRequest(
            spec=self._spec(**values), start=self.chance.random() < 0.3
        )
        return Case("CreateDomain", request)

    def _from_xml(self) -> Case:
        name = self.chance.choice([self._new_name(), f"{self.prefix}-taken"])
        devices = self.chance.choice(
            [
                "",
                "<input type='tablet' bus='usb'/>",
                "<emulator>/bin/sh</emulator>",
                "<hostdev/>",
                "<interface type='network'><source network='no-such'/></interface>",
            ]
        )
        xml = _XML.format(name=name, devices=devices)
        return Case("CreateDomainFromXml", v1.CreateDomainFromXmlRequest(xml=xml))

    def _verb(self) -> Case:
        return verb(self.chance, self.chance.choice(self.names))
