"""Answers as the journal keeps them: in SUMMARY views, and without secrets."""

import pytest

from proa import v1
from proad.model import EngineRef, Resource, ResourceKind, ResourceState
from proad.rpc.answers import ProtoAnswerCodec, stored
from proad.rpc.methods import methods

JOURNALLED = {path: method for path, method in methods().items() if method.journalled}
_DEEPEST = 6


def filled(message, depth=0):
    """Set every field of a message, and those below it."""
    for field in message.DESCRIPTOR.fields:
        choice = field.containing_oneof
        if choice is not None and message.WhichOneof(choice.name):
            continue  # the first of several: a container
        value = getattr(message, field.name)
        if field.message_type is None:
            sample = {field.CPPTYPE_STRING: "the secret", field.CPPTYPE_BOOL: True}
            one = sample.get(field.cpp_type, 1)
            if field.type == field.TYPE_BYTES:
                one = b"the secret"
            if field.is_repeated:
                value.append(one)
            else:
                setattr(message, field.name, one)
        elif field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].message_type is None:
                value["key"] = "the secret"
        elif depth < _DEEPEST:
            filled(value.add() if field.is_repeated else value, depth + 1)
            if not field.is_repeated:
                value.SetInParent()
    return message


def secrets(message):
    """Yield the set fields that are marked as secrets, here and below."""
    for field, value in message.ListFields():
        if field.GetOptions().Extensions[v1.secret]:
            yield field.full_name
        elif field.message_type is None or field.message_type.GetOptions().map_entry:
            continue
        elif field.is_repeated:
            for each in value:
                yield from secrets(each)
        else:
            yield from secrets(value)


@pytest.mark.parametrize("path", JOURNALLED)
def test_stored_has_no_secrets(path):
    response = filled(JOURNALLED[path].response())
    kept = type(response).FromString(stored(response))

    assert list(secrets(kept)) == []
    assert response.ByteSize() >= kept.ByteSize()


def test_stored_of_a_filled_response_has_had_secrets():
    assert list(secrets(filled(v1.CreateContainerResponse())))


def test_stored_keeps_the_details_of_a_summary():
    response = filled(v1.CreateContainerResponse())
    kept = v1.CreateContainerResponse.FromString(stored(response)).resource

    assert {field.name for field, _ in kept.container.ListFields()} == {
        "image",
        "image_id",
        "ports",
        "mounts",
        "networks",
    }
    assert kept.name == response.resource.name


@pytest.mark.parametrize("path", JOURNALLED)
def test_response_without_anything_is_empty(path):
    answer = ProtoAnswerCodec(methods()).response(path, None)

    assert answer.stored == answer.reply == b""


def test_response_about_a_resource_has_it():
    about = Resource(
        id="1",
        kind=ResourceKind.CONTAINER,
        name="web",
        state=ResourceState.RUNNING,
        engine=EngineRef(host="local", driver="docker"),
    )
    path = "/proa.v1.ContainerService/CreateContainer"
    answer = ProtoAnswerCodec(methods()).response(path, about)

    assert v1.CreateContainerResponse.FromString(answer.stored).resource.name == "web"
    assert answer.path == "local/container/1"


def test_every_journalled_response_has_one_place_for_what_it_is_about():
    """So that `ProtoAnswerCodec.response` can tell of what was found of an interrupted request."""
    for method in JOURNALLED.values():
        kinds = [
            field.message_type.name
            for field in method.response.DESCRIPTOR.fields
            if field.message_type is not None
            and field.message_type.name in {"Resource", "Snapshot", "Volume"}
        ]
        assert len(kinds) <= 1
