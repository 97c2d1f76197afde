"""Requests that the policy denies, one for each changing method that it judges.

An RPC that changes something stands in `JUDGED`, with a request that shows it, or in `UNJUDGED`
with the reason why nobody needs to judge it.
"""

from dataclasses import dataclass, field
from typing import Any

from hostile_xml.document import NAME, whole
from proad.core.gate import PolicyGate
from rpc.daemon import IMAGE, MEMORY_BYTES, changing

READS = {
    *("probe", "subscribe", "identity", "list_resources", "get_resource", "find_id", "stats"),
    *("list_images", "get_image", "list_volumes", "list_snapshots", "get_snapshot"),
    *(
        "get_domain_xml",
        "find_running",
        "layer_size",
        "domain_facts",
        "domain_documents",
        "plan_update",
    ),
}
"""The methods of drivers that change nothing."""

UNTIL_ANNOUNCED = {
    *("create_container", "recreate_container", "create_snapshot", "create_volume"),
    *("create_domain", "create_domain_from_xml", "delete", "delete_volume"),
}
"""The methods of drivers that change nothing before they announce it, or are told to begin."""

OUTER = {"image": IMAGE, "name": "outer", "networks": [{"network": "net"}]}
DISKS = [{"new_volume": {"capacity_bytes": 2**20, "pool": "b"}}]
TIGHT = {
    "allowed_container_networks": ["inner"],
    "allowed_pools": ["a"],
    "allowed_registries": ["docker.io"],
    "foreign": "view",
}
"""A profile that denies these."""


@dataclass(frozen=True)
class Judged:
    """How a method is judged.

    Attributes:
        by: the method of `PolicyGate`.
        request: a request that `TIGHT` denies, where "web" and "vm" are foreign.
    """

    by: Any
    request: dict[str, Any] = field(default_factory=dict)


JUDGED = {
    "CreateContainer": Judged(PolicyGate.admit_container, {"spec": OUTER}),
    "RecreateContainer": Judged(PolicyGate.check_entry, {"id": "web"}),
    "CreateDomain": Judged(
        PolicyGate.admit_domain,
        {"spec": {"name": "new", "memory_bytes": MEMORY_BYTES, "disks": DISKS}},
    ),
    "CreateDomainFromXml": Judged(
        PolicyGate.admit_xml, {"xml": whole("<hostdev/>").replace(NAME, "new")}
    ),
    "StartResource": Judged(PolicyGate.check_entry, {"id": "old"}),
    "StopResource": Judged(PolicyGate.check_entry, {"id": "web"}),
    "RestartResource": Judged(PolicyGate.check_entry, {"id": "web"}),
    "PauseResource": Judged(PolicyGate.check_entry, {"id": "web"}),
    "ResumeResource": Judged(PolicyGate.check_entry, {"id": "paused"}),
    "DeleteResource": Judged(PolicyGate.check_entry, {"id": "old"}),
    "UpdateResource": Judged(
        PolicyGate.check_entry, {"id": "web", **changing("container", name="other")}
    ),
    "CreateSnapshot": Judged(PolicyGate.check_entry, {"id": "vm", "name": "new"}),
    "RevertSnapshot": Judged(PolicyGate.check_entry, {"id": "vm", "name": "first"}),
    "DeleteSnapshot": Judged(PolicyGate.check_entry, {"id": "vm", "name": "first"}),
    "CreateVolume": Judged(
        PolicyGate.admit_volume,
        {"spec": {"name": "new", "capacity_bytes": 2**20, "pool": "b"}},
    ),
    "PullImage": Judged(PolicyGate.admit_image, {"image": "reg.example/x"}),
    "Exec": Judged(
        PolicyGate.check_entering, {"start": {"id": "web", "command": {"argv": ["true"]}}}
    ),
    "Attach": Judged(PolicyGate.check_entering, {"start": {"id": "web"}}),
    "RunCommand": Judged(PolicyGate.check_entering, {"id": "web", "command": {"argv": ["true"]}}),
    "ReadFile": Judged(PolicyGate.check_entering, {"id": "web", "path": "/etc/motd"}),
    "WriteFile": Judged(PolicyGate.check_entering, {"start": {"id": "web", "path": "/tmp/new"}}),
    "MakeDirectory": Judged(PolicyGate.check_entering, {"id": "web", "path": "/new"}),
    "RemoveFile": Judged(PolicyGate.check_entering, {"id": "web", "path": "/tmp"}),
    "ForwardPort": Judged(PolicyGate.check_entering, {"start": {"id": "web", "port": 7}}),
    "LoginRegistry": Judged(
        PolicyGate.admit_registry, {"registry": "reg.example", "username": "u", "password": "p"}
    ),
}

UNJUDGED = {
    "CreateToken": "changes nothing of the host",
    "RefreshToken": "changes nothing of the host",
    "RevokeToken": "changes nothing of the host",
    "CancelRequest": "ends what the caller was allowed to begin",
    "PruneContainers": "leaves what DeleteResource would deny",
    "LogoutRegistry": "gives power back",
    "DeleteImage": "takes power from nobody; tenancy knows whose an image is",
    "DeleteVolume": "takes power from nobody; tenancy knows whose a volume is",
}
