"""Answers and failures as the journal keeps them."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from proa import v1
from proad.core.requests import RequestAnswer
from proad.errors import ProaError
from proad.model import Resource, Snapshot, Volume, path_of
from proad.rpc.encode import encode
from proad.rpc.methods import Method
from proad.rpc.status import failure_of

# The fields of a SUMMARY. Of the others, an answer that is kept has none.
_SUMMARY = {
    v1.Container.DESCRIPTOR.full_name: {"image", "image_id", "ports", "mounts", "networks"},
    v1.Domain.DESCRIPTOR.full_name: {"memory_bytes", "max_memory_bytes", "vcpus", "autostart"},
}


def answer_of(method: Method, response: Any) -> RequestAnswer:
    """Return the answer that a response is.

    Args:
        method: the method.
        response: the response as its servicer returned it: a message, or the bytes of one.
    """
    reply = response if isinstance(response, bytes) else response.SerializeToString()
    message = method.response.FromString(reply)
    path = _path(message)
    return RequestAnswer(reply=reply, stored=_stored(message), path=path)


def stored(response: Message) -> bytes:
    """Return a response as it is kept: resources in the SUMMARY view, and no secrets."""
    kept = type(response)()
    kept.CopyFrom(response)
    return _stored(kept)


def _stored(message: Message) -> bytes:
    """Reduce a message to what is kept of it, and return that."""
    _reduce(message)
    encoded: bytes = message.SerializeToString()
    return encoded


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is kept of messages of a type.

    Attributes:
        dropped: the fields that are not.
        messages: the fields with messages of which not all is kept.
        repeated: the same of repeated fields.
        maps: the same of maps.
    """

    dropped: tuple[str, ...]
    messages: tuple[str, ...]
    repeated: tuple[str, ...]
    maps: tuple[str, ...]


@cache
def _kept(descriptor: Descriptor) -> _Kept:
    shown = _SUMMARY.get(descriptor.full_name)
    dropped, messages, repeated, maps = [], [], [], []
    for field in descriptor.fields:
        if _is_dropped(field, shown):
            dropped.append(field.name)
        elif field.message_type is None or not _loses(field.message_type):
            continue
        elif field.message_type.GetOptions().map_entry:
            maps.append(field.name)
        elif field.is_repeated:
            repeated.append(field.name)
        else:
            messages.append(field.name)
    return _Kept(tuple(dropped), tuple(messages), tuple(repeated), tuple(maps))


def _is_dropped(field: FieldDescriptor, shown: AbstractSet[str] | None) -> bool:
    secret: bool = field.GetOptions().Extensions[v1.secret]
    return secret or not (shown is None or field.name in shown)


@cache
def _loses(descriptor: Descriptor) -> bool:
    """Return whether messages of a type have anything, at any depth, that is not kept."""
    seen, left = set[str](), [descriptor]
    while left:
        each = left.pop()
        if each.full_name in seen:
            continue
        seen.add(each.full_name)
        shown = _SUMMARY.get(each.full_name)
        if any(_is_dropped(field, shown) for field in each.fields):
            return True
        left += [field.message_type for field in each.fields if field.message_type is not None]
    return False


def _reduce(message: Any) -> None:
    kept = _kept(message.DESCRIPTOR)
    for name in kept.dropped:
        message.ClearField(name)
    for name in kept.messages:
        if message.HasField(name):
            _reduce(getattr(message, name))
    for name in kept.repeated:
        for each in getattr(message, name):
            _reduce(each)
    for name in kept.maps:
        for each in getattr(message, name).values():
            _reduce(each)


def path_in(method: Method, response: Any) -> str:
    """Return the canonical path of the resource in a response; empty: it has none.

    Args:
        method: the method.
        response: as its servicer returned it: a message, or the bytes of one; None: none.
    """
    if response is None or "resource" not in method.response.DESCRIPTOR.fields_by_name:
        return ""
    return _path(method.response.FromString(response) if isinstance(response, bytes) else response)


def _path(response: Any) -> str:
    """Return the canonical path of the resource in a response; empty: it has none."""
    if "resource" not in response.DESCRIPTOR.fields_by_name or not response.HasField("resource"):
        return ""
    path: str = response.resource.path
    return path


class ProtoAnswerCodec:
    """Encodes answers and failures for the journal; implements `core.requests.AnswerCodec`.

    Args:
        methods: the methods of the contract by their paths.
    """

    def __init__(self, methods: Mapping[str, Method]) -> None:
        self._methods = methods

    def failure(self, error: ProaError) -> bytes:
        """Return a failure as a google.rpc.Status."""
        encoded: bytes = failure_of(error).SerializeToString()
        return encoded

    def response(self, method: str, about: Resource | Snapshot | Volume | None) -> RequestAnswer:
        """Return the answer of an interrupted request that turned out to have succeeded."""
        response: Any = self._methods[method].response()
        if isinstance(about, Resource):
            about = replace(about, path=path_of(about.engine, about))
        if about is not None:
            name = type(about).__name__
            for field in response.DESCRIPTOR.fields:
                if field.message_type is not None and field.message_type.name == name:
                    getattr(response, field.name).CopyFrom(encode(getattr(v1, name), about))
        return answer_of(self._methods[method], response)
