"""Cached encodings: the same bytes as anew, and freed with their resources."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf import message_factory
from google.protobuf.field_mask_pb2 import FieldMask

from proa import v1
from proa.v1 import resource_service_pb2
from proad.core.inventory import Batch, ResumePoint
from proad.model import (
    ChangeCause,
    ChangeType,
    EngineRef,
    Gap,
    GapKind,
    ResourceChange,
    ResourceState,
    WatchEvent,
)
from proad.rpc.encode import encode
from proad.rpc.encodings import _ENTRY, EncodingCache, LruCache, first_field
from proad.rpc.masks import ReadMask
from proad.rpc.signing import Signer
from proad.rpc.watch_encoder import ResumeTokens, WatchEncoder
from unit.core.inventory.scripted import box

EVERYTHING = ReadMask(FieldMask(), v1.Resource)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SERVICE = resource_service_pb2.DESCRIPTOR.services_by_name["ResourceService"]
# One, two and three bytes say how long these are.
LENGTHS = [0, 100, 200, 20_000, 3_000_000]


def of_length(length):
    """A resource that is a little longer than this when it is encoded."""
    return box("", "", create_time=NOON, labels={"a": "x" * length} if length else {})


@pytest.fixture
def encoded():
    return EncodingCache(first_field)


RESPONSES = {
    method.name: (message_factory.GetMessageClass(method.output_type), field)
    for method in SERVICE.methods
    for field in method.output_type.fields
    if field.message_type == v1.Resource.DESCRIPTOR
}


@pytest.mark.parametrize("name", RESPONSES)
def test_first_field_is_an_encoded_response_of_every_verb(encoded, name):
    response, field = RESPONSES[name]
    resource = of_length(100)
    read: Any = response.FromString(encoded.get(resource))

    assert field.number == 1
    found = getattr(read, field.name)
    assert (found[0] if field.is_repeated else found) == encode(v1.Resource, resource)
    assert not read.FindInitializationErrors()
    assert len(read.ListFields()) == 1


def test_responses_with_a_resource_are_all_tested():
    assert RESPONSES.keys() >= {
        f"{verb}Resource" for verb in ("Get", "Start", "Stop", "Restart", "Pause", "Resume")
    } | {"ListResources", "DeleteResource"}


def test_cache_encodes_the_same_resource_once():
    made = []

    def encode_noted(resource):
        made.append(resource)
        return b"x"

    encoded = EncodingCache(encode_noted)
    one, equal = of_length(1), of_length(1)

    assert encoded.get(one) is encoded.get(one)
    encoded.get(equal)
    assert len(made) == 2


def test_cache_drops_the_encoding_of_a_freed_resource(encoded):
    there = [of_length(n) for n in range(5)]
    for n in range(1000):
        encoded.get(of_length(n))
    for resource in there:
        encoded.get(resource)

    assert len(encoded) == 5
    there[0] = replace(there[0], state=ResourceState.PAUSED)
    assert len(encoded) == 4


def test_lru_cache_that_is_full_drops_the_least_recently_used():
    of_two, of_one = 2000 - _ENTRY, 1000 - _ENTRY
    cache: LruCache[int, str] = LruCache(10_000)
    for n in range(10):
        cache.put(n, "x", of_two)
    assert [n for n in range(10) if cache.get(n)] == [5, 6, 7, 8, 9]

    cache.get(5)
    cache.put(10, "x", of_two)
    assert [n for n in range(11) if cache.get(n)] == [5, 7, 8, 9, 10]

    cache.put(5, "x", of_one)  # in the place of what was longer
    cache.put(11, "x", of_one)
    assert [n for n in range(12) if cache.get(n)] == [5, 7, 8, 9, 10, 11]

    assert cache.put(12, "long", 100_000) == "long"
    assert not any(cache.get(n) for n in range(13))
    cache.put(13, "x", 10_000 - _ENTRY)
    assert cache.get(13)


def test_lru_cache_of_empty_values_is_bounded_too():
    cache: LruCache[int, bytes] = LruCache(10_000)
    for n in range(1000):
        cache.put(n, b"", 0)
    assert len([n for n in range(1000) if cache.get(n) is not None]) == 10_000 // _ENTRY


async def told(events, *changes):
    """The response with these events, the second time that they are told."""

    async def batches():
        for _ in range(2):
            yield Batch(tuple(changes), 7)

    *_, last = [r async for r in events.responses(batches(), EVERYTHING, tokens())]
    return v1.WatchResourcesResponse.FromString(last)


def tokens():
    return ResumeTokens(
        Signer([b"key"]), "ann", lambda revision: ResumePoint("run", revision), v1.ResourceFilter()
    )


EVENTS = [
    WatchEvent(change=ResourceChange(type=ChangeType.EXISTING, resource=of_length(100))),
    WatchEvent(
        change=ResourceChange(
            type=ChangeType.MODIFIED,
            resource=of_length(100),
            previous_state=ResourceState.PAUSED,
            cause=ChangeCause.API,
            actor="ann",
        )
    ),
    WatchEvent(
        gap=Gap(kind=GapKind.ENGINE_LOST, engine=EngineRef("local", "docker"), message="why")
    ),
]


@pytest.mark.parametrize("event", EVENTS, ids=["existing", "modified", "gap"])
@pytest.mark.parametrize("revision", [0, 7])
async def test_watch_encoder_encodes_an_event_as_the_message_itself(encoded, event, revision):
    response = await told(WatchEncoder(encoded), (revision, event))

    assert list(response.events) == [encode(v1.WatchEvent, event)]
    assert response.resume_token == tokens().write(7)


@pytest.mark.parametrize("length", LENGTHS)
async def test_watch_encoder_encodes_an_event_of_any_length(encoded, length):
    event = WatchEvent(
        change=ResourceChange(type=ChangeType.ADDED, resource=of_length(length), actor="ann")
    )

    assert list((await told(WatchEncoder(encoded), (3, event))).events) == [
        encode(v1.WatchEvent, event)
    ]


async def test_watch_encoder_shares_the_encoding_of_a_resource_with_verbs():
    made = []

    def encode_noted(resource):
        made.append(resource)
        return first_field(resource)

    encoded = EncodingCache(encode_noted)
    resource = of_length(100)
    change = ResourceChange(type=ChangeType.MODIFIED, resource=resource)

    await told(WatchEncoder(encoded), (3, WatchEvent(change=change)))
    encoded.get(resource)

    assert made == [resource]
