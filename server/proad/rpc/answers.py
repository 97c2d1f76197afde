"""Answers and failures as the journal keeps them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

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
    if isinstance(response, bytes):
        reply, message = response, method.response.FromString(response)
    else:
        reply, message = response.SerializeToString(), response
    return RequestAnswer(reply=reply, stored=stored(message), path=_path(message))


def stored(response: Message) -> bytes:
    """Return a response as it is kept: resources in the SUMMARY view, and no secrets."""
    kept = type(response)()
    kept.CopyFrom(response)
    _reduce(kept)
    encoded: bytes = kept.SerializeToString()
    return encoded


def _reduce(message: Any) -> None:
    shown = _SUMMARY.get(message.DESCRIPTOR.full_name)
    for field, value in message.ListFields():
        if field.GetOptions().Extensions[v1.secret] or not (shown is None or field.name in shown):
            message.ClearField(field.name)
        elif field.message_type is None:
            continue
        elif field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].message_type is not None:
                for each in value.values():
                    _reduce(each)
        elif field.is_repeated:
            for each in value:
                _reduce(each)
        else:
            _reduce(value)


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
