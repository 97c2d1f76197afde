"""From a message of the contract to a type of the model, with all its limits checked.

Fields and enum values have the same names on both sides, so that one rule converts
them all, and the path in a violation is the path in the caller's message.
"""

from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC
from enum import StrEnum
from typing import Any, TypeVar

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from proa import v1
from proad.domain_parser import DomainName
from proad.errors import InvalidArgumentError
from proad.model import (
    AuditFilter,
    CommandSpec,
    CommandStreams,
    ContainerSpec,
    DeleteOptions,
    DirectoryMake,
    DomainSpec,
    DomainXml,
    FileRead,
    FileRef,
    FileRemoval,
    FileWrite,
    ImageFilter,
    LogOptions,
    PruneFilter,
    RegistryCredentials,
    RequestFilter,
    ResourceFilter,
    ResourceUpdate,
    RestartOptions,
    SnapshotSpec,
    StartOptions,
    StatsOptions,
    StopOptions,
    TerminalSize,
    VolumeRef,
    VolumeSpec,
    WaitOptions,
    WatchOptions,
    prepare,
    validate,
)
from proad.model.update import LIMIT_PATHS, LIMITS
from proad.rpc.masks import ReadMask
from proad.rpc.names import enum_prefix, settable

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)
D = TypeVar("D")
SpecT = TypeVar("SpecT", ContainerSpec, DomainSpec)

# What a specification cannot be without, and an update can.
_UNNAMED: Mapping[type, Mapping[str, Any]] = {
    ContainerSpec: {"image": "unnamed"},
    DomainSpec: {"name": "unnamed", "memory_bytes": 2**30},
}


def prepare_all() -> None:
    """Prepare the validation of all types that requests contain, before the first request."""
    prepare(
        *(
            AuditFilter,
            CommandSpec,
            CommandStreams,
            ContainerSpec,
            DeleteOptions,
            DomainName,
            DomainSpec,
            DomainXml,
            ImageFilter,
            LogOptions,
            PruneFilter,
        ),
        *(DirectoryMake, FileRead, FileRef, FileRemoval, FileWrite),
        *(RegistryCredentials, RequestFilter, ResourceFilter, RestartOptions, SnapshotSpec),
        *(StartOptions, StatsOptions, StopOptions, TerminalSize),
        *(VolumeRef, VolumeSpec, WaitOptions, WatchOptions),
    )


def decode(cls: type[T], message: Message, *, prefix: str = "") -> T:
    """Return a `cls` of those fields of `message` that it has; the servicer reads the others.

    `prefix` is the path of `message` in its request. A field that is not set takes the
    default of the model.

    Raises:
        InvalidArgumentError: a violation for each wrong field.
    """
    raw = _raw(message, prefix)
    known = {field.name for field in fields(cls)}  # type: ignore[arg-type] # a dataclass
    return validate(cls, {k: v for k, v in raw.items() if k in known}, prefix=prefix)


def decode_update(
    cls: type[SpecT], spec: Message, mask: FieldMask, *, prefix: str
) -> ResourceUpdate:
    """Return the change that a specification makes in the fields that `mask` names.

    The other fields are not looked at. `prefix` is the path of `spec` in its request. A field
    that is named and not set takes the default of the model.

    Raises:
        InvalidArgumentError: a path is none of the specification's, or a field is wrong.
    """
    paths = frozenset(mask.paths)
    selected = (
        ReadMask(mask, type(spec), field="update_mask").apply(spec) if paths else type(spec)()
    )
    if LIMITS in paths:
        paths = paths - {LIMITS} | LIMIT_PATHS
    if inner := sorted(path for path in paths - LIMIT_PATHS if "." in path):
        whole = inner[0].partition(".")[0]
        raise InvalidArgumentError.of("update_mask", f"{inner[0]!r}: name {whole!r} as a whole")
    unnamed = {field: value for field, value in _UNNAMED[cls].items() if field not in paths}
    values = validate(cls, {**unnamed, **_raw(selected, prefix)}, prefix=prefix)
    return ResourceUpdate(spec=values, paths=paths)


def required(message: Message, field: str) -> Message:
    """Return a message field that must be set."""
    if not message.HasField(field):
        raise InvalidArgumentError.of(field, "is required")
    value: Message = getattr(message, field)
    return value


def plain_text(message: Message, field: str) -> str:
    """Return a string field that may be empty."""
    value: str = getattr(message, field)
    if "\0" in value:
        raise InvalidArgumentError.of(field, "must not contain a NUL character")
    return value


def required_text(message: Message, field: str) -> str:
    """Return a string field that must not be empty."""
    if not (value := plain_text(message, field)):
        raise InvalidArgumentError.of(field, "is required")
    return value


def chosen(cls: type[E], message: Message, field: str, default: D) -> E | D:
    """Return an enum field, or `default` where it is unspecified."""
    number: int = getattr(message, field)
    if number == 0:
        return default
    enum: Any = message.DESCRIPTOR.fields_by_name[field].enum_type
    return cls(_enum(enum, number, field))


def _raw(message: Message, path: str) -> dict[str, Any]:
    return {
        field.name: _field(field, value, f"{path}.{field.name}" if path else field.name)
        for field, value in message.ListFields()
    }


def _field(field: FieldDescriptor, value: Any, path: str) -> Any:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        inner = field.message_type.fields_by_name["value"]
        if inner.message_type is None:
            return dict(value)
        return {key: _raw(each, f"{path}.{key}") for key, each in value.items()}
    if field.is_repeated:
        return tuple(_single(field, item, f"{path}[{i}]") for i, item in enumerate(value))
    return _single(field, value, path)


def _single(field: FieldDescriptor, value: Any, path: str) -> Any:
    if field.enum_type is not None:
        return _enum(field.enum_type, value, path)
    if isinstance(value, Duration | Timestamp):
        return _time(value, path)
    return _raw(value, path) if isinstance(value, Message) else value


def _enum(enum: EnumDescriptor, number: int, path: str) -> str:
    if number == 0:  # …_UNSPECIFIED, inside a list
        raise InvalidArgumentError.of(path, "must not be unspecified")
    values: Mapping[int, Any] = enum.values_by_number
    value = values.get(number)
    if value is None or value.GetOptions().Extensions[v1.output_only]:
        known = ", ".join(settable(enum))
        if value is None:
            raise InvalidArgumentError.of(path, f"{number} is not one of {known}")
        raise InvalidArgumentError.of(
            path, f"{value.name} tells what an engine has and cannot be set; say one of {known}"
        )
    name: str = value.name
    return name.removeprefix(enum_prefix(enum))


def _time(value: Duration | Timestamp, path: str) -> Any:
    try:
        if isinstance(value, Duration):
            return value.ToTimedelta()
        return value.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidArgumentError.of(path, "is out of range") from None
