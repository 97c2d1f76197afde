"""Random requests about domains, of which about half are wrong in some way."""

from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from planned.cases import BEYOND, MIB, Cases
from planned.trial import Case
from proa import v1

_XML = """<domain type='qemu'><name>{name}</name><memory unit='MiB'>32</memory>
<os><type arch='x86_64'>hvm</type></os><devices>{devices}</devices></domain>"""


class Domains(Cases):
    """Draws requests about the domains of a stage; see `Cases`."""

    kind = "domain"

    def _plain(self, name: str, *, start: bool) -> v1.CreateDomainRequest:
        return v1.CreateDomainRequest(spec=self._spec(name=name, vcpus=1), start=start)

    def _draws(self) -> Mapping[Callable[[], Case], int]:
        return {self._update: 6, self._create: 3, self._from_xml: 1, self._verb: 3}

    def _spec(self, **fields: Any) -> v1.DomainSpec:
        usual: dict[str, Any] = {"memory_bytes": 64 * MIB, "diskless": True, "networkless": True}
        return v1.DomainSpec(**usual | fields)

    def _update(self) -> Case:
        fields = {
            "name": (self._new_name(), self.taken, self._new_name()),
            "memory_bytes": (96 * MIB, 128 * MIB, BEYOND),
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
            "memory_bytes": (32 * MIB, BEYOND),
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
        values["name"] = self.chance.choice([self._new_name()] * 3 + [self.taken])
        request = v1.CreateDomainRequest(
            spec=self._spec(**values), start=self.chance.random() < 0.3
        )
        return Case("CreateDomain", request)

    def _from_xml(self) -> Case:
        name = self.chance.choice([self._new_name(), self.taken])
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
