"""The model mirrors the contract: the same fields, the same enum values, by the same names.

Pairs of message and dataclass are found by walking from the types that servicers
convert, so that whatever they reach is compared.
"""

from dataclasses import fields, is_dataclass
from enum import StrEnum
from types import NoneType
from typing import Any, get_args, get_type_hints

import pytest

from proa import v1
from proad import model
from proad.rpc.names import enum_prefix

# Messages that servicers read or write without conversion.
SERVICERS_OWN: dict[tuple[Any, type], set[str]] = {
    (v1.CreateContainerResponse, model.CreatedContainer): {"plan"},
    (v1.RecreateContainerResponse, model.CreatedContainer): {"plan"},
    (v1.PruneContainersRequest, model.PruneFilter): {"host"},
    (v1.PruneContainersResponse, model.Pruned): {"plan"},
    (v1.ListRequestsRequest, model.RequestFilter): {"page_size", "page_token"},
    (v1.ListImagesRequest, model.ImageFilter): {"page_size", "page_token", "host"},
    (v1.DeleteImageResponse, model.DeletedImage): set(),
    (v1.LoginRegistryRequest, model.RegistryCredentials): {"host"},
    (v1.StartResourceRequest, model.StartOptions): {"id"},
    (v1.StopResourceRequest, model.StopOptions): {"id"},
    (v1.RestartResourceRequest, model.RestartOptions): {"id"},
    (v1.DeleteResourceRequest, model.DeleteOptions): {"id", "allow_missing", "etag"},
    (v1.UpdateResourceResponse, model.Updated): {"plan"},
    (v1.WatchResourcesRequest, model.WatchOptions): {"filter", "read_mask", "resume_token"},
    (v1.StreamStatsRequest, model.StatsOptions): set(),
    (v1.WaitResourceRequest, model.WaitOptions): {"id"},
    (v1.StreamStatsResponse, model.StatsBatch): set(),
    (v1.CreateSnapshotRequest, model.SnapshotSpec): {"id"},
    (v1.CreateDomainFromXmlRequest, model.DomainXml): {"start", "host"},
    (v1.ExecStart, model.CommandStreams): {"id", "command"},
    (v1.StatFileRequest, model.FileRef): {"id"},
    (v1.ReadFileRequest, model.FileRead): {"id"},
    (v1.WriteFileStart, model.FileWrite): {"id"},
    (v1.MakeDirectoryRequest, model.DirectoryMake): {"id"},
    (v1.RemoveFileRequest, model.FileRemoval): {"id"},
    (v1.StreamLogsRequest, model.LogOptions): {"id"},
    (v1.AttachStart, model.ConsoleOptions): {"id"},
}
WHOLE: list[tuple[Any, type]] = [
    (v1.Resource, model.Resource),
    (v1.ResourceFilter, model.ResourceFilter),
    (v1.ContainerSpec, model.ContainerSpec),
    (v1.DomainSpec, model.DomainSpec),
    (v1.Image, model.Image),
    (v1.PullProgress, model.PullProgress),
    (v1.Snapshot, model.Snapshot),
    (v1.Volume, model.Volume),
    (v1.VolumeSpec, model.VolumeSpec),
    (v1.Host, model.Host),
    (v1.Quota, model.Quota),
    (v1.ServerInfo, model.ServerInfo),
    (v1.Plan, model.Plan),
    (v1.WatchEvent, model.WatchEvent),
    (v1.AuditEntry, model.AuditEntry),
    (v1.AuditFilter, model.AuditFilter),
    (v1.ResourceStats, model.ResourceStats),
    (v1.CommandSpec, model.CommandSpec),
    (v1.CommandExit, model.CommandExit),
    (v1.FileInfo, model.FileInfo),
    (v1.FileDigest, model.FileDigest),
]
# Enums that are a field of no walked message.
ENUMS = {
    (v1.ListResourcesRequest.DESCRIPTOR.fields_by_name["view"].enum_type, model.ResourceView),
    (v1.RevertSnapshotRequest.DESCRIPTOR.fields_by_name["state"].enum_type, model.RevertState),
}


def inner_types(hint: Any):
    """The dataclasses and enums inside an annotation such as tuple[Disk, ...] | None."""
    if isinstance(hint, type) and (is_dataclass(hint) or issubclass(hint, StrEnum)):
        yield hint
    for argument in get_args(hint):
        if argument not in {Ellipsis, NoneType}:
            yield from inner_types(argument)


def message_in(field):
    """The message type of a field; of a map that of its values."""
    message = field.message_type
    is_map = message.GetOptions().map_entry
    return message.fields_by_name["value"].message_type if is_map else message


def walk():
    """Every (message descriptor, dataclass) and (enum descriptor, StrEnum) that belong together."""
    waiting = [(m.DESCRIPTOR, cls) for m, cls in [*WHOLE, *SERVICERS_OWN]]
    pairs, enums = set(), set(ENUMS)
    while waiting:
        message, cls = waiting.pop()
        if (message, cls) in pairs:
            continue
        pairs.add((message, cls))
        for name, hint in get_type_hints(cls).items():
            field = message.fields_by_name.get(name)
            for inner in inner_types(hint) if field is not None else ():
                if issubclass(inner, StrEnum):
                    enums.add((field.enum_type, inner))
                else:
                    waiting.append((message_in(field), inner))
    return pairs, enums


PAIRS, ENUM_PAIRS = walk()
OWN = {(m.DESCRIPTOR, cls): names for (m, cls), names in SERVICERS_OWN.items()}
# Fields that `encode` adds, unknown to drivers.
OF_ENCODE = {"truncated"}
# Fields that the redaction of responses adds.
OF_REDACTION = {v1.Resource.DESCRIPTOR: {"redacted"}, v1.Image.DESCRIPTOR: {"redacted"}}
# Fields that the interceptor reads.
OF_INTERCEPTOR = {"request_id", "validate_only"}
# The options of the contract, which `Method` reads.
OF_OPTIONS = {"MethodAccess"}
# Messages that a servicer makes from what the journal keeps.
OF_JOURNAL = {"RequestFailure"}
# Messages by which a stream of requests goes on, or says how.
OF_STREAMS = {
    "AttachDetach",
    "AttachStarted",
    "ConsoleEnd",
    "EndOfInput",
    "EndOfOutput",
    "ExecDetach",
    "ExecStarted",
    "ForwardPortStart",
    "LogLine",
    "PortConnected",
    "TokenRenewal",
    "WriteFileReady",
}
# Fields for the core alone, which callers never see.
OF_CORE = {
    (v1.Resource.DESCRIPTOR, model.Resource): {"creation", "owner_id"},
    (v1.Container.DESCRIPTOR, model.Container): {"carried_volumes", "omissions"},
    (v1.Snapshot.DESCRIPTOR, model.Snapshot): {"charge"},
    (v1.Volume.DESCRIPTOR, model.Volume): {"record_id"},
    (v1.ExecStart.DESCRIPTOR, model.CommandStreams): {"input"},
}


def by_name(pair):
    return pair[1].__name__


@pytest.mark.parametrize("pair", sorted(PAIRS, key=by_name), ids=by_name)
def test_model_fields_match_contract_fields(pair):
    message, cls = pair

    in_model = {field.name for field in fields(cls)} - OF_CORE.get(pair, set())
    in_model -= OF_INTERCEPTOR  # an entry of the audit log has the id of its call, too

    converted = set(message.fields_by_name) - OWN.get(pair, set()) - OF_ENCODE
    assert in_model == converted - OF_INTERCEPTOR - OF_REDACTION.get(message, set())


@pytest.mark.parametrize("pair", sorted(ENUM_PAIRS, key=by_name), ids=by_name)
def test_model_enums_match_contract_enums(pair):
    enum, cls = pair
    unspecified, *names = [value.name for value in enum.values]

    assert unspecified == f"{enum_prefix(enum)}UNSPECIFIED"
    assert names == [f"{enum_prefix(enum)}{value}" for value in cls]
    assert [value.name for value in cls] == [value.value for value in cls]


def test_walk_reaches_whole_model():
    converted = {cls.__name__ for _, cls in PAIRS | ENUM_PAIRS}
    there = {name for name in model.__all__ if isinstance(getattr(model, name), type)}

    # The core turns EngineInfo into Host and Engine, and EngineEvent into watch events. Intents
    # are for the journal alone. A ResourceUpdate is a specification and a mask. GetCaller tells of
    # the Subject. The output of a command, and the lines of a log, go into the responses of a stream.
    assert there - converted == {
        "Access",
        "Action",
        "Charge",
        "CommandOutput",
        "ContainerNetwork",
        "ContainerVolume",
        "DomainDocument",
        "DomainFacts",
        "EngineEvent",
        "EngineInfo",
        "Footprint",
        "Found",
        "ImageDefaults",
        "Intent",
        "LogLine",
        "PlannedVolume",
        "ResourceUpdate",
        "Subject",
        "UpdatePlan",
    }


def test_walk_reaches_every_contract_message():
    """The remaining messages are requests and responses that a servicer reads itself."""
    walked = {message.name for message, _ in PAIRS}
    left = {
        name
        for name in v1.__all__
        if hasattr(getattr(v1, name), "DESCRIPTOR")
        and hasattr(getattr(v1, name).DESCRIPTOR, "fields_by_name")
        and name not in walked | OF_OPTIONS | OF_JOURNAL | OF_STREAMS
    }

    assert [name for name in left if not name.endswith(("Request", "Response"))] == []
