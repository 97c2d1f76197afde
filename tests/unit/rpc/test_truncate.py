"""Truncation of messages that clients would not accept for their size."""

from dataclasses import replace

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from proa import v1
from proad.model import (
    Domain,
    DomainSpec,
    Image,
    Resource,
    ResourceKind,
    ResourceState,
    Snapshot,
    StateDetail,
)
from proad.rpc.encode import encode
from proad.rpc.masks import ReadMask
from proad.rpc.truncate import MOST_BYTES
from resource_details import domain_of
from unit.core.inventory.scripted import box

LARGE = "x" * (MOST_BYTES + 1)
LARGE_SPEC = DomainSpec(name="vm", memory_bytes=1, description=LARGE)
HALF = "x" * (MOST_BYTES // 2)


def container(*, labels=(), **fields):
    resource = box(labels=dict(labels), state_detail=StateDetail(message="why"))
    return replace(resource, container=replace(resource.container, **fields))


def test_encode_resource_that_fits_leaves_nothing_out():
    resource = container(labels={"a": HALF}, env={"b": "x"}, command=("c",))

    found = encode(v1.Resource, resource)

    assert (found.labels["a"], found.container.env["b"]) == (HALF, "x")
    assert not found.truncated


@pytest.mark.parametrize(
    ("resource", "left"),
    [
        (container(labels={"a": LARGE}, env={"b": HALF}), ["env", "image", "message"]),
        (container(labels={"a": HALF}, env={"b": HALF}), ["env", "image", "message"]),
        (
            container(labels={"a": "x"}, env={"b": LARGE}, command=("c",)),
            ["command", "image", "message"],
        ),
        (container(env={"b": "x"}, command=(LARGE,)), ["image", "message"]),
        (container(image=LARGE), ["message"]),
        (replace(container(), state_detail=StateDetail(message=LARGE)), []),
    ],
)
def test_encode_resource_that_is_too_large_leaves_out_in_the_documented_order(resource, left):
    found = encode(v1.Resource, resource)

    there = {
        "labels": found.labels,
        "env": found.container.env,
        "command": found.container.command,
        "image": found.container.image,
        "message": found.state_detail.message,
    }
    assert sorted(name for name, value in there.items() if value) == left
    assert (found.id, found.name, found.truncated) == ("1", "web", True)
    assert found.ByteSize() <= MOST_BYTES


def test_encode_domain_that_is_too_large_stays_a_domain():
    resource = Resource(
        id="1",
        kind=ResourceKind.DOMAIN,
        name="vm",
        state=ResourceState.RUNNING,
        labels={"a": LARGE},
        domain=Domain(vcpus=2, memory_bytes=1, max_memory_bytes=1),
    )

    found = encode(v1.Resource, resource)
    assert (found.WhichOneof("details"), found.domain.vcpus, found.truncated) == ("domain", 2, True)

    found = encode(
        v1.Resource, replace(resource, domain=replace(domain_of(resource), spec=LARGE_SPEC))
    )
    assert found.truncated
    assert not found.domain.HasField("spec")
    assert found.domain.vcpus == 2


@pytest.mark.parametrize(
    ("cls", "value"),
    [
        (v1.Image, Image(id="i", tags=("a:1",), labels={"a": LARGE}, size_bytes=1)),
        (v1.Image, Image(id="i", tags=("a:1",), env={"a": LARGE}, size_bytes=1)),
        (
            v1.Snapshot,
            Snapshot(name="s", resource_id="1", state=ResourceState.STOPPED, description=LARGE),
        ),
    ],
)
def test_encode_message_that_is_too_large_sets_truncated(cls, value):
    found = encode(cls, value)

    assert found.truncated
    assert found.ByteSize() < 100


def test_mask_of_a_truncated_message_keeps_truncated():
    found = ReadMask(FieldMask(paths=["labels"]), v1.Resource).apply(
        encode(v1.Resource, container(labels={"a": LARGE}))
    )

    assert found == v1.Resource(truncated=True)
